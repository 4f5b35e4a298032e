/**
 * The texts of UPnP that a port mapping needs: the search for a gateway (SSDP), where its description says that it is
 * controlled, and three calls (SOAP; WANIPConnection 1 and 2, WANPPPConnection 1). Whatever comes in is a stranger's: it is bounded by the
 * caller, read by what is looked for alone, and may only name its own host.
 */
import type { PortToMap } from './port-mapping.ts'

export const SSDP_GROUP = '239.255.255.250'
export const SSDP_PORT = 1_900
/** Gateways answer at some moment within so many seconds. */
const ANSWER_WITHIN_SECONDS = 1
/** A gateway of version 2 should answer for 1; not all do. */
const DEVICES = [1, 2].map(version => `urn:schemas-upnp-org:device:InternetGatewayDevice:${version}`)
const SERVICES = ['WANIPConnection:2', 'WANIPConnection:1', 'WANPPPConnection:1'].map(
  service => `urn:schemas-upnp-org:service:${service}`,
)
const DESCRIPTION = 'webmesh'

/** Of a call that failed: only leases without end; the port is another machine's. */
export const ONLY_PERMANENT = 725
export const PORT_TAKEN = 718

export interface IgdService {
  readonly type: string
  readonly url: URL
}

export type SoapAnswer =
  | { readonly kind: 'told'; readonly text: string }
  | { readonly kind: 'refused'; readonly code: number | null; readonly why: string }

export function searches(): readonly string[] {
  return DEVICES.map(device =>
    [
      'M-SEARCH * HTTP/1.1',
      `HOST: ${SSDP_GROUP}:${SSDP_PORT}`,
      'MAN: "ssdp:discover"',
      `MX: ${ANSWER_WITHIN_SECONDS}`,
      `ST: ${device}`,
      '',
      '',
    ].join('\r\n'),
  )
}

/** Where the description of a gateway is; null where this is no answer of one, or sends us to another host than its sender. */
export function readSearchAnswer(text: string, sender: string): URL | null {
  if (!/^HTTP\/1\.\d 200 /.test(text)) return null
  const headers = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim())
  }
  const url = urlOn(headers.get('location') ?? '', undefined, sender)
  return DEVICES.includes(headers.get('st') ?? '') ? url : null
}

/** Where connections are controlled, best first; those on another host are passed over. */
export function readDescription(text: string, from: URL): readonly IgdService[] {
  const found: IgdService[] = []
  const base = textOf(text, 'URLBase') || undefined
  for (const part of text.split('<service>').slice(1)) {
    const end = part.indexOf('</service>')
    const service = end < 0 ? part : part.slice(0, end)
    const type = textOf(service, 'serviceType')
    const url = urlOn(textOf(service, 'controlURL'), base ?? from.href, from.hostname)
    if (SERVICES.includes(type) && url !== null) found.push({ type, url })
  }
  return found.sort((a, b) => SERVICES.indexOf(a.type) - SERVICES.indexOf(b.type))
}

export function mappingCall(
  { transport, port }: PortToMap,
  ownHost: string,
  wanted: number,
  seconds: number,
): readonly [action: string, values: readonly (readonly [string, string | number])[]] {
  return [
    'AddPortMapping',
    [
      ['NewRemoteHost', ''],
      ['NewExternalPort', wanted],
      ['NewProtocol', transport.toUpperCase()],
      ['NewInternalPort', port],
      ['NewInternalClient', ownHost],
      ['NewEnabled', 1],
      ['NewPortMappingDescription', DESCRIPTION],
      ['NewLeaseDuration', seconds],
    ],
  ]
}

export function unmappingCall(
  { transport }: PortToMap,
  granted: number,
): readonly [action: string, values: readonly (readonly [string, string | number])[]] {
  return [
    'DeletePortMapping',
    [
      ['NewRemoteHost', ''],
      ['NewExternalPort', granted],
      ['NewProtocol', transport.toUpperCase()],
    ],
  ]
}

export function addressCall(): readonly [action: string, values: readonly (readonly [string, string | number])[]] {
  return ['GetExternalIPAddress', []]
}

/** None of the values holds what XML would need escaped: they are numbers, addresses and words of ours. */
export function soapBody(
  type: string,
  action: string,
  values: readonly (readonly [string, string | number])[],
): string {
  const parts = values.map(([name, value]) => `<${name}>${value}</${name}>`).join('')
  return (
    '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
    `<u:${action} xmlns:u="${type}">${parts}</u:${action}></s:Body></s:Envelope>`
  )
}

export function readSoapAnswer(ok: boolean, text: string): SoapAnswer {
  if (ok) return { kind: 'told', text }
  const code = /^\d{3}$/.test(textOf(text, 'errorCode')) ? Number(textOf(text, 'errorCode')) : null
  const said = textOf(text, 'errorDescription').slice(0, 80)
  return { kind: 'refused', code, why: said === '' ? `error ${code ?? 'without a code'}` : said }
}

/** The text of the first element of this name, in whatever name space; '' where there is none. */
export function textOf(text: string, name: string): string {
  return new RegExp(`<(?:\\w+:)?${name}(?:\\s[^<>]*)?>([^<]*)<`).exec(text)?.[1]?.trim() ?? ''
}

/** An `http` address of this host alone. */
function urlOn(text: string, base: string | undefined, host: string): URL | null {
  if (text === '' || !URL.canParse(text, base)) return null
  const url = new URL(text, base)
  return url.protocol === 'http:' && url.hostname === host && url.username === '' ? url : null
}
