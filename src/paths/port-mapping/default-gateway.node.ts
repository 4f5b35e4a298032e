/** The machine that this one sends to where it knows no better, by IPv4: whoever can map a port is there. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'

const TABLE_TIMEOUT_MS = 2_000
const ROUTE_IS_UP = 1
const ROUTE_HAS_GATEWAY = 2

/** Null where there is none, or none is found. */
export async function defaultGateway(): Promise<string | null> {
  if (process.platform === 'linux') {
    return readFile('/proc/net/route', 'utf8').then(gatewayOfProc, () => null)
  }
  return new Promise(resolve => {
    execFile('netstat', ['-rn'], { timeout: TABLE_TIMEOUT_MS, windowsHide: true }, (_, text) => {
      resolve(gatewayOfTable(text))
    })
  })
}

/** `/proc/net/route`: addresses are hexadecimal with the last byte first; of several ways the least metric counts. */
export function gatewayOfProc(text: string): string | null {
  let best: { readonly host: string; readonly metric: number } | null = null
  for (const line of text.split('\n').slice(1)) {
    const [, destination, gateway = '', flags = '', , , metric, mask] = line.trim().split(/\s+/)
    const needed = ROUTE_IS_UP | ROUTE_HAS_GATEWAY
    const isDefault = destination === '00000000' && mask === '00000000'
    if (!isDefault || !/^[0-9A-F]{8}$/i.test(gateway) || (Number.parseInt(flags, 16) & needed) !== needed) continue
    const host = [...Buffer.from(gateway, 'hex')].reverse().join('.')
    if (best === null || Number(metric) < best.metric) best = { host, metric: Number(metric) }
  }
  return best?.host ?? null
}

/** What `netstat -rn` prints on macOS, the BSDs and Windows. */
export function gatewayOfTable(text: string): string | null {
  return /^[ \t]*(?:default|0\.0\.0\.0[ \t]+0\.0\.0\.0)[ \t]+(\d+\.\d+\.\d+\.\d+)\b/m.exec(text)?.[1] ?? null
}
