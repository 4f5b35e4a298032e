/** The machine that this one sends to where it knows no better: whoever can map a port, or opens the firewall, is there. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { ipOfBytes } from '../udp/ip-address.ts'

const TABLE_TIMEOUT_MS = 2_000
const ROUTE_IS_UP = 1
const ROUTE_HAS_GATEWAY = 2

/** Null where there is none, or none is found. By IPv6 with its interface, as in `fe80::1%eth0`. */
export async function defaultGateway(family: 4 | 6): Promise<string | null> {
  const isIpv6 = family === 6
  if (process.platform === 'linux') {
    const [file, read] = isIpv6 ? ['/proc/net/ipv6_route', gateway6OfProc] : ['/proc/net/route', gatewayOfProc]
    return readFile(file, 'utf8').then(read, () => null)
  }
  return new Promise(resolve => {
    execFile('netstat', ['-rn'], { timeout: TABLE_TIMEOUT_MS, windowsHide: true }, (_, text) => {
      resolve(isIpv6 ? gateway6OfTable(text) : gatewayOfTable(text))
    })
  })
}

/** `/proc/net/route`: addresses are hexadecimal with the last byte first; of several ways the least metric counts. */
export function gatewayOfProc(text: string): string | null {
  const routes = text.split('\n').slice(1).map(fieldsOf)
  return leastMetric(
    routes.map(([, destination, gateway = '', flags = '', , , metric, mask]) => {
      const isWay =
        destination === '00000000' && mask === '00000000' && leadsOn(flags) && /^[0-9A-F]{8}$/i.test(gateway)
      return isWay ? { host: [...Buffer.from(gateway, 'hex')].reverse().join('.'), metric: Number(metric) } : null
    }),
  )
}

/** `/proc/net/ipv6_route`, of which all is hexadecimal. */
export function gateway6OfProc(text: string): string | null {
  const routes = text.split('\n').map(fieldsOf)
  return leastMetric(
    routes.map(([destination, length, , , gateway = '', metric = '', , , flags = '', device]) => {
      const isWay =
        destination === '0'.repeat(32) && length === '00' && leadsOn(flags) && /^[0-9a-f]{32}$/.test(gateway)
      return isWay
        ? { host: `${ipOfBytes(Buffer.from(gateway, 'hex'))}%${device}`, metric: Number.parseInt(metric, 16) }
        : null
    }),
  )
}

/** What `netstat -rn` prints on macOS, the BSDs and Windows. */
export function gatewayOfTable(text: string): string | null {
  return /^[ \t]*(?:default|0\.0\.0\.0[ \t]+0\.0\.0\.0)[ \t]+(\d+\.\d+\.\d+\.\d+)\b/m.exec(text)?.[1] ?? null
}

/** The same; Windows has interfaces by number, before the metric. */
export function gateway6OfTable(text: string): string | null {
  const bsd = /^default[ \t]+(fe80:[0-9a-f:]*[1-9a-f][0-9a-f:]*%\w+)[ \t]/m.exec(text)?.[1]
  if (bsd !== undefined) return bsd
  const windows = /^[ \t]*(\d+)[ \t]+\d+[ \t]+::\/0[ \t]+(fe80:[0-9a-f:]+)\b/m.exec(text)
  return windows === null ? null : `${windows[2]}%${windows[1]}`
}

function fieldsOf(line: string): readonly string[] {
  return line.trim().split(/\s+/)
}

function leadsOn(flags: string): boolean {
  const needed = ROUTE_IS_UP | ROUTE_HAS_GATEWAY
  return (Number.parseInt(flags, 16) & needed) === needed
}

function leastMetric(ways: readonly ({ readonly host: string; readonly metric: number } | null)[]): string | null {
  const found = ways.filter(way => way !== null)
  return found.toSorted((a, b) => a.metric - b.metric)[0]?.host ?? null
}
