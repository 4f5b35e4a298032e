/**
 * Where a wire can be opened (spec 2.3). Text: `tcp://host:port`, `ws://host:port/path`, `webrtc://host:port/hash`, `[v6]` in
 * brackets.
 */
import { bytesOfBase64url, textOfBase64url } from './base64url.ts'
import { type ByteReader, type ByteWriter, decodeUtf8 } from './bytes.ts'
import { fail, ok, type Result } from './fault.ts'

/**
 * At `udp://` a public peer serves STUN, and takes punched wires; nobody dials it. `tab` is another tab of the same browser: it means
 * nothing to any other machine, so it has no number in refs and no text that can be read.
 */
export type AddressScheme = 'tcp' | 'ws' | 'wss' | 'webrtc' | 'udp' | 'tab'

export interface Address {
  readonly scheme: AddressScheme
  /** A host name, an IPv4 address, or an IPv6 address without brackets; of `webrtc` no name, since browsers look none up for it. */
  readonly host: string
  readonly port: number
  /** `ws` and `wss`: the path, with its slash; `webrtc`: the certificate's SHA-256 in base64url; `tab`: its name; else ''. */
  readonly extra: string
}

const SCHEMES: readonly AddressScheme[] = ['tcp', 'ws', 'wss', 'webrtc', 'udp']
const HOST_BYTES_MAX = 253
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/
const EXTRA_BYTES_MAX = 128
const HASH_BYTES = 32
/** An IPv6 address in brackets, or a name or IPv4 address; a path without space, quotes, brackets, fragment. All ASCII. */
const PATTERN =
  /^(tcp|ws|wss|webrtc|udp):\/\/(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})(\/[\w!$%&'()*+,./:;=?@~-]*)?$/

export function addressText(address: Address): string {
  const { scheme, extra } = address
  return `${scheme}://${hostPort(address)}${scheme === 'webrtc' ? `/${extra}` : extra}`
}

/** As in URLs: an IPv6 address in brackets. */
export function hostPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

export function parseAddress(text: string): Result<Address> {
  const match = PATTERN.exec(text.trim())
  const bad = fail({ code: 'invalid-address', detail: text.slice(0, 120) })
  if (match === null) return bad
  // reason: the pattern lists just these schemes.
  const scheme = match[1] as AddressScheme
  const host = (match[2] ?? match[3] ?? '').toLowerCase()
  const port = Number(match[4])
  const path = match[5] ?? ''
  const extra = scheme === 'webrtc' ? path.slice(1) : path === '/' ? '' : path
  if (port < 1 || port > 65535 || host.length > HOST_BYTES_MAX || extra.length > EXTRA_BYTES_MAX) return bad
  if ((scheme === 'tcp' || scheme === 'udp') && extra !== '') return bad
  if (scheme !== 'webrtc') return ok({ scheme, host, port, extra })
  if (bytesOfBase64url(extra)?.length !== HASH_BYTES) return bad
  if (!host.includes(':') && !IPV4.test(host))
    return fail({ code: 'invalid-address', detail: `${text.slice(0, 120)} (the host of webrtc:// is an IP address)` })
  return ok({ scheme, host, port, extra })
}

/** The hash that a `webrtc` address ends with. */
export function certificateHashOf({ extra }: Address): Uint8Array {
  return bytesOfBase64url(extra) ?? new Uint8Array(HASH_BYTES)
}

/** `scheme u8 | host text | port u16 | extra sized`: text, or of `webrtc` the hash's own bytes. */
export function writeAddress(writer: ByteWriter, address: Address): void {
  const { scheme, host, port, extra } = address
  writer.oneOf(SCHEMES, scheme).text(host).u16(port)
  if (scheme === 'webrtc') writer.sized(certificateHashOf(address))
  else writer.text(extra)
}

/**
 * Null, which the caller passes over, for an unknown scheme, so that newer peers can announce newer addresses; and for
 * what has no text that reads back as the same: a ref carries it to dialers, who build it into URLs.
 */
export function readAddress(reader: ByteReader): Address | null {
  const scheme = SCHEMES[reader.u8()]
  const host = reader.text(HOST_BYTES_MAX)
  const port = reader.u16()
  const bytes = reader.sized(EXTRA_BYTES_MAX)
  if (reader.failed || scheme === undefined) return null
  const extra = scheme === 'webrtc' ? textOfBase64url(bytes) : decodeUtf8(bytes)
  if (extra === null) return null
  const parsed = parseAddress(addressText({ scheme, host, port, extra }))
  if (!parsed.ok || parsed.value.host !== host || parsed.value.extra !== extra) return null
  return parsed.value
}
