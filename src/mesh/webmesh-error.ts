/**
 * The one error that a user meets: a stable `code` to match on, and a sentence that says what happened and what to do.
 * Made from a Fault; the sentences stand in one table, which the compiler keeps complete.
 */
import type { Fault, FaultCode } from '../core/base/fault.ts'

export class WebmeshError extends Error {
  override readonly name = 'WebmeshError'
  /** Stable: match on it, not on the message. */
  readonly code: FaultCode
  /** Which thing was wrong, where that is known. */
  readonly detail: string | undefined
  /** With `stream-reset`: the code that the other side gave, 0 … 2^32 − 1. */
  readonly reset: number | undefined

  constructor(fault: Fault, reset?: number) {
    super(sentenceOfFault(fault))
    this.code = fault.code
    this.detail = fault.detail
    this.reset = reset
  }
}

/** Something that a user gave cannot be used; `detail` says what it has to be. */
export function invalidOption(detail: string): WebmeshError {
  return new WebmeshError({ code: 'invalid-option', detail })
}

export function sentenceOfFault(fault: Fault): string {
  return (SENTENCES[fault.code] ?? `${fault.code}%`).replace('%', () => why(fault))
}

/** What no page meets: those that do bring the sentences along. */
export type SystemCode = 'port-in-use' | 'listen-failed' | 'store-locked'
type Sentences = Record<Exclude<FaultCode, SystemCode>, string> & Partial<Record<SystemCode, string>>

/** What happened, `%` for the particulars, and what to do. */
const SENTENCES: Sentences = {
  'invalid-ref': 'This is no ref that can be read%: copy the whole text, which starts with "webmesh:", and try again.',
  'invalid-address': 'This is no address%: write it like tcp://host:4100, ws://host:4100/path or tcp://[::1]:4100.',
  'invalid-peer-id': 'This is no peer id%: a peer id is 64 hexadecimal digits; a ref will do as well.',
  'invalid-service-name':
    'This is no service name%: write a name of lower-case letters, digits, dots and hyphens, a slash and a major version, like chat.example/1.',
  'invalid-option': 'An option cannot be used%: correct it and try again.',
  'ref-expired': 'The ref has expired%: ask the peer for its present one.',
  'ref-forged':
    "The ref's signature does not fit its contents%: it was changed on its way, so ask its owner for it again.",

  'store-damaged':
    'The store cannot be read%: nothing was changed in it, so restore the folder from a copy, or give another one to start with a new identity.',
  'store-failed': "The store could not be written or read%: check the folder's permissions and the space on the disk.",

  'no-way-in':
    "No peer let this one in%: check that the refs given are present ones and that their peers run, or give another peer's ref.",
  'peer-unreachable':
    'The peer cannot be reached%: it may be offline or its id mistyped; try again, or give its ref instead of its id.',
  'dial-failed': 'The connection could not be opened%: check the address, and that a peer listens there.',
  'dial-timeout':
    'Nobody answered at that address in time%: check the address and the firewall before it, and try again.',
  timeout: 'No answer came in time%: try again, or ask another peer.',
  'self-connect': 'This peer was asked to connect to itself%: give the id or ref of another peer.',
  'not-supported': 'This cannot be done here%: use a peer or a platform that can.',

  'frame-too-large':
    'A frame over the limit came in%, and the wire was closed: what speaks there is no Webmesh peer, or a broken one.',
  malformed:
    'Bytes came in that mean nothing%, and the wire was closed: what speaks there is no Webmesh peer, or one of another version.',
  'handshake-failed': 'The handshake failed%: make sure that a Webmesh peer listens there, and try again.',
  'wrong-peer':
    'Another peer answered than the one asked for%: its address has changed hands, so ask it for its present ref.',
  'version-mismatch': 'The other side speaks another version of the protocol%: update the older of the two.',
  'flow-control-broken':
    'The other peer sent more than it was allowed to%, and its session was closed: it is broken, so use another peer.',
  'wire-lost': 'The connection was lost%: check the network and connect again.',
  overloaded: 'The other side has too much to do%: try again a little later.',
  refused: 'The other side refused%: ask its owner, or use another peer.',

  closed: 'It was closed%: open it again to go on.',
  'session-lost': 'The session was lost%, since no path to the peer is left: connect again.',
  'session-replaced': 'A newer session with the same peer took the place of this one%: use the newer one.',
  'stream-reset': 'The other side gave up the stream%: open another one to try again.',
  'no-such-stream': 'There is no such stream any more%: open another one.',
  'no-such-service': 'The other peer does not serve that%: pick another member of the service.',
  'message-too-large': 'The message is too large%: send a smaller one, or open a stream.',
  aborted: 'It was given up by its AbortSignal%: start it again to go on.',
}

/** Codes of faults that caused the one told of, in plain words. */
const PLAIN_WORDS: Partial<Record<string, string>> = {
  'no-route': 'no way was found to it',
  timeout: 'no answer came',
  handshake: 'no answer came',
  'dial-timeout': 'no answer came',
  'peer-unreachable': 'it could not be reached',
  'frame-too-large': 'what answers there is no Webmesh peer',
  malformed: 'what answers there is no Webmesh peer',
  'handshake-failed': 'what answers there is no Webmesh peer',
  closed: 'the other side hung up',
  'wire-lost': 'the connection was lost',
}

/** What is met where the program runs: more codes of causes, and the sentences that pages do not carry. */
export function learnSystem(words: Readonly<Record<string, string>>, sentences: Record<SystemCode, string>): void {
  Object.assign(PLAIN_WORDS, words)
  Object.assign(SENTENCES, sentences)
}

/** ` (detail; got 3, limit 2)`, or nothing where the fault says no more than its code. */
function why(fault: Fault): string {
  const parts: string[] = []
  if (fault.detail !== undefined && fault.detail !== '') parts.push(plainWords(fault.detail))
  if (fault.got !== undefined)
    parts.push(fault.limit === undefined ? `got ${fault.got}` : `got ${fault.got}, limit ${fault.limit}`)
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`
}

/** `place: CODE: what a system said` becomes `place: plain words`; other details stay. */
function plainWords(detail: string): string {
  const code = /(?:^|: )(E[A-Z_]{3,}(?=:|$)|[a-z-]+$)/.exec(detail)
  const words = PLAIN_WORDS[code?.[1] ?? '']
  if (code === null || words === undefined) return detail
  return `${detail.slice(0, code.index)}${code.index === 0 ? '' : ': '}${words}`
}
