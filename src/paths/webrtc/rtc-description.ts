/**
 * What one end of a WebRTC connection must know of the other (spec 5.9): credentials of ICE, the certificate's hash, where
 * it may be reached. It travels in this form and not as the SDP that both ends' libraries want, which is made from it here:
 * nothing that a stranger writes gets into that.
 *
 *   version u8 | ufrag text | pwd text | certificate hash 32 | count u8 | (kind u8 | host text | port u16)…
 */
import { ByteReader, ByteWriter } from '../../core/base/bytes.ts'
import { hexOfBytes } from '../../core/base/hex.ts'
import { mayBeSentTo } from '../udp/ip-address.ts'

/** A place of this machine; the same as others see it through a NAT. */
export type CandidateKind = 'host' | 'reflexive'

export interface Candidate {
  readonly kind: CandidateKind
  /** An IP address, or a name ending in `.local` that stands for one (mDNS). */
  readonly host: string
  readonly port: number
}

export interface RtcDescription {
  readonly ufrag: string
  readonly pwd: string
  /** SHA-256 of the certificate. */
  readonly certificateHash: Uint8Array
  readonly candidates: readonly Candidate[]
}

const VERSION = 1
const HASH_BYTES = 32
/** More are never looked at: a peer must not be sent to knock at doors without end. */
export const CANDIDATES_MAX = 12
const KINDS: readonly CandidateKind[] = ['host', 'reflexive']
/** RFC 8839 section 5.4: ufrag 4 to 256, password 22 to 256 of these. */
const UFRAG = /^[A-Za-z0-9+/]{4,64}$/
const PWD = /^[A-Za-z0-9+/]{22,128}$/
const TEXT_BYTES_MAX = 128
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/
const IPV6 = /^[0-9a-f:.]{2,45}$/
const LOCAL_NAME = /^[0-9a-z-]{1,64}\.local$/

export function writeRtcDescription({ ufrag, pwd, certificateHash, candidates }: RtcDescription): Uint8Array {
  const told = candidates.slice(0, CANDIDATES_MAX)
  const writer = new ByteWriter(512).u8(VERSION).text(ufrag).text(pwd).raw(certificateHash).u8(told.length)
  for (const { kind, host, port } of told) writer.oneOf(KINDS, kind).text(host).u16(port)
  return writer.finish()
}

/** Null where it is none, or names what no peer should be sent to. */
export function readRtcDescription(bytes: Uint8Array): RtcDescription | null {
  const reader = new ByteReader(bytes)
  if (reader.u8() !== VERSION) return null
  const ufrag = reader.text(TEXT_BYTES_MAX)
  const pwd = reader.text(TEXT_BYTES_MAX)
  const certificateHash = reader.raw(HASH_BYTES)
  const candidates = reader.list(CANDIDATES_MAX, readCandidate, reader.u8())
  if (!reader.finished || !UFRAG.test(ufrag) || !PWD.test(pwd)) return null
  return { ufrag, pwd, certificateHash: certificateHash.slice(), candidates }
}

function readCandidate(reader: ByteReader): Candidate {
  const candidate = { kind: reader.oneOf(KINDS), host: reader.text(TEXT_BYTES_MAX), port: reader.u16() }
  if (!isHost(candidate.host) || candidate.port === 0) reader.failed = true
  return candidate
}

/** Without the places that no peer is sent to by another: nobody's, everybody's, and this machine itself unless that is wanted. */
export function withoutBadCandidates(description: RtcDescription, loopback: boolean): RtcDescription {
  const candidates = description.candidates.filter(({ host }) => LOCAL_NAME.test(host) || mayBeSentTo(host, loopback))
  return { ...description, candidates }
}

function isHost(host: string): boolean {
  return IPV4.test(host) || (host.includes(':') && IPV6.test(host)) || LOCAL_NAME.test(host)
}

// ---- SDP (RFC 8866, 8839, 8841) ----

/** What a library says of its own end; null where something is missing. TCP candidates are left out: both ends only dial by them. */
export function descriptionOfSdp(sdp: string): RtcDescription | null {
  const lines = sdp.split(/\r?\n/)
  const attribute = (name: string): string | undefined =>
    lines.find(line => line.startsWith(`a=${name}:`))?.slice(name.length + 3)
  const ufrag = attribute('ice-ufrag')
  const pwd = attribute('ice-pwd')
  const hash = /^sha-256 ([0-9A-F:]{95})$/i.exec(attribute('fingerprint') ?? '')?.[1]
  if (ufrag === undefined || pwd === undefined || hash === undefined) return null
  const candidates = lines.map(candidateOfLine).filter(candidate => candidate !== null)
  const known = new Map(candidates.map(candidate => [`${candidate.host} ${candidate.port}`, candidate]))
  return {
    ufrag,
    pwd,
    certificateHash: hashOfText(hash),
    candidates: [...known.values()],
  }
}

/** A hash as SDP writes it: bytes in hexadecimal, colons between them. */
export function hashOfText(text: string): Uint8Array {
  return Uint8Array.from(text.split(':'), pair => Number.parseInt(pair, 16))
}

function candidateOfLine(line: string): Candidate | null {
  const match = /^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ (host|srflx)\b/i.exec(line)
  if (match === null) return null
  const [, host = '', port, type] = match
  return { kind: type === 'host' ? 'host' : 'reflexive', host: host.toLowerCase(), port: Number(port) }
}

/**
 * Whose roles in DTLS are which (RFC 8842): who offers leaves them to who answers, and that one opens. With an address (rtc-call.ts)
 * both ends make up what the other would have said: there the caller opens.
 */
const SETUP = { offer: 'actpass', answer: 'active', caller: 'active', called: 'passive' } as const

/** `role` is that of the end described. */
export function sdpOf({ ufrag, pwd, certificateHash, candidates }: RtcDescription, role: keyof typeof SETUP): string {
  const hash = hexOfBytes(certificateHash).toUpperCase().match(/../g)?.join(':')
  const lines = [
    'v=0',
    'o=- 1 1 IN IP4 0.0.0.0',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${pwd}`,
    `a=fingerprint:sha-256 ${hash}`,
    `a=setup:${SETUP[role]}`,
    'a=mid:0',
    'a=sctp-port:5000',
    'a=max-message-size:262144',
    ...candidates.map(candidateLine),
    'a=end-of-candidates',
  ]
  return `${lines.join('\r\n')}\r\n`
}

function candidateLine({ kind, host, port }: Candidate, index: number): string {
  // RFC 8445 section 5.1.2.1: type preference 126 and 100, then the order in which they were told, then component 1.
  const priority = (kind === 'host' ? 126 : 100) * 2 ** 24 + (65_535 - index) * 2 ** 8 + 255
  const related = kind === 'host' ? '' : ' raddr 0.0.0.0 rport 0'
  return `a=candidate:${index + 1} 1 UDP ${priority} ${host} ${port} typ ${kind === 'host' ? 'host' : 'srflx'}${related}`
}
