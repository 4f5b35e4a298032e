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

export function sentenceOfFault(fault: Fault): string {
  return SENTENCES[fault.code](fault)
}

const SENTENCES: Record<FaultCode, (fault: Fault) => string> = {
  'invalid-ref': fault =>
    `This is no ref that can be read${why(fault)}: copy the whole text, which starts with "webmesh:", and try again.`,
  'invalid-address': fault =>
    `This is no address${why(fault)}: write it like tcp://host:4100, ws://host:4100/path or tcp://[::1]:4100.`,
  'invalid-peer-id': fault =>
    `This is no peer id${why(fault)}: a peer id is 64 hexadecimal digits; a ref will do as well.`,
  'invalid-service-name': fault =>
    `This is no service name${why(fault)}: write a name of lower-case letters, digits, dots and hyphens, a slash and a major version, like chat.example/1.`,
  'invalid-option': fault => `An option cannot be used${why(fault)}: correct it and try again.`,
  'ref-expired': fault => `The ref has expired${why(fault)}: ask the peer for its present one.`,
  'ref-forged': fault =>
    `The ref's signature does not fit its contents${why(fault)}: it was changed on its way, so ask its owner for it again.`,

  'port-in-use': fault =>
    `Another program listens there already${why(fault)}: stop it, choose another port, or give port 0 for any free one.`,
  'listen-failed': fault =>
    `Listening failed${why(fault)}: check that the address belongs to this machine and that the port may be used.`,
  'store-damaged': fault =>
    `The store cannot be read${why(fault)}: nothing was changed in it, so restore the folder from a copy, or give another one to start with a new identity.`,
  'store-locked': fault =>
    `The store is in use by another process${why(fault)}: stop that one, or give each peer a folder of its own.`,
  'store-failed': fault =>
    `The store could not be written or read${why(fault)}: check the folder's permissions and the space on the disk.`,

  'no-way-in': fault =>
    `No peer let this one in${why(fault)}: check that the refs given are present ones and that their peers run, or give another peer's ref.`,
  'peer-unreachable': fault =>
    `The peer cannot be reached${why(fault)}: it may be offline or its id mistyped; try again, or give its ref instead of its id.`,
  'dial-failed': fault =>
    `The connection could not be opened${why(fault)}: check the address, and that a peer listens there.`,
  'dial-timeout': fault =>
    `Nobody answered at that address in time${why(fault)}: check the address and the firewall before it, and try again.`,
  timeout: fault => `No answer came in time${why(fault)}: try again, or ask another peer.`,
  'self-connect': fault => `This peer was asked to connect to itself${why(fault)}: give the id or ref of another peer.`,
  'not-supported': fault => `This cannot be done here${why(fault)}: use a peer or a platform that can.`,

  'frame-too-large': fault =>
    `A frame over the limit came in${why(fault)}, and the wire was closed: what speaks there is no Webmesh peer, or a broken one.`,
  malformed: fault =>
    `Bytes came in that mean nothing${why(fault)}, and the wire was closed: what speaks there is no Webmesh peer, or one of another version.`,
  'handshake-failed': fault =>
    `The handshake failed${why(fault)}: make sure that a Webmesh peer listens there, and try again.`,
  'wrong-peer': fault =>
    `Another peer answered than the one asked for${why(fault)}: its address has changed hands, so ask it for its present ref.`,
  'version-mismatch': fault =>
    `The other side speaks another version of the protocol${why(fault)}: update the older of the two.`,
  'flow-control-broken': fault =>
    `The other peer sent more than it was allowed to${why(fault)}, and its session was closed: it is broken, so use another peer.`,
  'wire-lost': fault => `The connection was lost${why(fault)}: check the network and connect again.`,
  overloaded: fault => `The other side has too much to do${why(fault)}: try again a little later.`,
  refused: fault => `The other side refused${why(fault)}: ask its owner, or use another peer.`,

  closed: fault => `It was closed${why(fault)}: open it again to go on.`,
  'session-lost': fault => `The session was lost${why(fault)}, since no path to the peer is left: connect again.`,
  'session-replaced': fault =>
    `A newer session with the same peer took the place of this one${why(fault)}: use the newer one.`,
  'stream-reset': fault => `The other side gave up the stream${why(fault)}: open another one to try again.`,
  'no-such-stream': fault => `There is no such stream any more${why(fault)}: open another one.`,
  'no-such-service': fault => `The other peer does not serve that${why(fault)}: pick another member of the service.`,
  'message-too-large': fault => `The message is too large${why(fault)}: send a smaller one, or open a stream.`,
  aborted: fault => `It was given up by its AbortSignal${why(fault)}: start it again to go on.`,
}

/** What systems and other layers say in a code, in plain words. */
const PLAIN_WORDS: Partial<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ECONNRESET: 'the other side cut the connection',
  EPIPE: 'the other side cut the connection',
  ETIMEDOUT: 'no answer came',
  EHOSTUNREACH: 'no way leads to that host',
  ENETUNREACH: 'no way leads to that network',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'host names cannot be looked up now',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'that is not permitted',
  EPERM: 'that is not permitted',
  EROFS: 'it can only be read',
  ENOSPC: 'the disk is full',
  EEXIST: 'it is no folder',
  ENOTDIR: 'it is no folder, or lies in something that is none',
  ENOENT: 'it does not exist and cannot be made',
  ENAMETOOLONG: 'its name is too long',
  EMFILE: 'too many files are open',
  // Codes of faults that caused the one told of.
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
