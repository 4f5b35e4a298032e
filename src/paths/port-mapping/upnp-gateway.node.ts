/**
 * A gateway that speaks UPnP: searched for by multicast from the one address that leads to it, and asked over HTTP. It alone is
 * heard: whoever else answers the search could not map anything, and would only have us send requests for it.
 */
import { createSocket } from 'node:dgram'
import type { Gateway, Grant, PortToMap } from './port-mapping.ts'
import {
  addressCall,
  type IgdService,
  mappingCall,
  ONLY_PERMANENT,
  PORT_TAKEN,
  readDescription,
  readSearchAnswer,
  readSoapAnswer,
  type SoapAnswer,
  SSDP_GROUP,
  SSDP_PORT,
  searches,
  soapBody,
  textOf,
  unmappingCall,
} from './upnp-igd.ts'

/** Multicast is lost easily; who answers does so within a second, if it is not busy. */
const SEARCH_AFTER_MS: readonly number[] = [0, 600, 1_500]
const SEARCH_MS = 3_000
/** Not beyond the router (UPnP Device Architecture 1.1, section 1.3.2). */
const MULTICAST_HOPS = 2
const HTTP_TIMEOUT_MS = 3_000
/** Real descriptions take some 5 KiB. */
const HTTP_BYTES_MAX = 131_072
/** Connections that are looked at; a gateway has one, seldom two. */
const SERVICES_MAX = 4
/** Of the ports that other machines have already; then it is given up. */
const PORTS_TRIED = 4
const PORT_MIN = 1_024

export class UpnpGateway implements Gateway {
  readonly protocol = 'upnp'
  readonly host: string
  private readonly service: IgdService
  private readonly ownHost: string

  private constructor(host: string, ownHost: string, service: IgdService) {
    this.host = host
    this.ownHost = ownHost
    this.service = service
  }

  /** Null where the gateway does not answer, or controls no connection. `ownHost`: this machine's address on the way to it. */
  static async find(host: string, ownHost: string, signal: AbortSignal): Promise<UpnpGateway | null> {
    const description = await search(host, ownHost, signal)
    if (description === null) return null
    const { ok, text } = await request(description, {}, signal).catch(() => ({ ok: false, text: '' }))
    for (const service of ok ? readDescription(text, description).slice(0, SERVICES_MAX) : []) {
      const gateway = new UpnpGateway(host, ownHost, service)
      // Of several connections one has an address.
      if ((await gateway.externalHost(signal).catch(() => '')) !== '') return gateway
    }
    return null
  }

  async map(port: PortToMap, wanted: number, seconds: number): Promise<Grant> {
    let place = wanted
    let lease = seconds
    for (let tried = 1; ; ) {
      const answer = await this.call(...mappingCall(port, this.ownHost, place, lease))
      if (answer.kind === 'told') return { host: await this.externalHost(), port: place, seconds: lease || null }
      if (answer.code === ONLY_PERMANENT && lease !== 0) lease = 0
      else if (answer.code === PORT_TAKEN && tried < PORTS_TRIED) {
        tried += 1
        place = PORT_MIN + Math.floor(Math.random() * (65_536 - PORT_MIN))
      } else throw new Error(answer.why)
    }
  }

  async unmap(port: PortToMap, granted: number): Promise<void> {
    await this.call(...unmappingCall(port, granted)).catch(() => {})
  }

  /** Nothing: to end a mapping that was not granted could end somebody else's, and this gateway is about to answer. */
  giveUp(): void {}

  close(): void {}

  private async externalHost(signal?: AbortSignal): Promise<string> {
    const answer = await this.call(...addressCall(), signal)
    if (answer.kind === 'refused') throw new Error(answer.why)
    const host = textOf(answer.text, 'NewExternalIPAddress')
    return host === '0.0.0.0' ? '' : host
  }

  private async call(
    action: string,
    values: readonly (readonly [string, string | number])[],
    signal?: AbortSignal,
  ): Promise<SoapAnswer> {
    const { type, url } = this.service
    const headers = { 'content-type': 'text/xml; charset="utf-8"', soapaction: `"${type}#${action}"` }
    const { ok, text } = await request(url, { method: 'POST', headers, body: soapBody(type, action, values) }, signal)
    return readSoapAnswer(ok, text)
  }
}

function search(host: string, ownHost: string, signal: AbortSignal): Promise<URL | null> {
  return new Promise(resolve => {
    const socket = createSocket('udp4')
    const timers: NodeJS.Timeout[] = []
    let isOver = false
    const finish = (found: URL | null): void => {
      if (isOver) return
      isOver = true
      signal.removeEventListener('abort', onAbort)
      for (const timer of timers.splice(0)) clearTimeout(timer)
      socket.removeAllListeners('message').close()
      resolve(found)
    }
    const onAbort = (): void => finish(null)
    socket.on('error', () => finish(null))
    socket.on('message', (bytes, sender) => {
      const found = sender.address === host ? readSearchAnswer(bytes.toString('latin1'), host) : null
      if (found !== null) finish(found)
    })
    socket.bind(0, ownHost, () => {
      try {
        socket.setMulticastInterface(ownHost)
        socket.setMulticastTTL(MULTICAST_HOPS)
      } catch {
        // The address is gone, or does no multicast.
        finish(null)
        return
      }
      const ask = (): void => {
        for (const text of searches()) socket.send(text, SSDP_PORT, SSDP_GROUP, () => {})
      }
      for (const delay of SEARCH_AFTER_MS) timers.push(setTimeout(ask, delay))
      timers.push(setTimeout(() => finish(null), SEARCH_MS))
    })
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
  })
}

/** An answer within bounds, from there and nowhere else. */
async function request(
  url: URL,
  options: RequestInit,
  ending?: AbortSignal,
): Promise<{ readonly ok: boolean; readonly text: string }> {
  const limit = AbortSignal.timeout(HTTP_TIMEOUT_MS)
  const signal = ending === undefined ? limit : AbortSignal.any([limit, ending])
  const response = await fetch(url, { ...options, redirect: 'error', signal })
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > HTTP_BYTES_MAX) throw new Error('it tells too much of itself')
    chunks.push(chunk)
  }
  return { ok: response.ok, text: Buffer.concat(chunks).toString('utf8') }
}
