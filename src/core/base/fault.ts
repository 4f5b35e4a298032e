/**
 * What can go wrong, by stable code. Inside the core a fault is a value; at the surface `WebmeshError` carries it with
 * a sentence that says what to do. Codes are append-only: users match on them.
 */
export type FaultCode =
  // what a user gave
  | 'invalid-ref'
  | 'invalid-address'
  | 'invalid-peer-id'
  | 'invalid-service-name'
  | 'invalid-option'
  | 'ref-expired'
  | 'ref-forged'
  // the machine
  | 'port-in-use'
  | 'listen-failed'
  | 'store-damaged'
  | 'store-locked'
  | 'store-failed'
  // reaching others
  | 'no-way-in'
  | 'peer-unreachable'
  | 'dial-failed'
  | 'dial-timeout'
  | 'timeout'
  | 'self-connect'
  | 'not-supported'
  // what a wire or a remote peer did
  | 'frame-too-large'
  | 'malformed'
  | 'handshake-failed'
  | 'wrong-peer'
  | 'version-mismatch'
  | 'flow-control-broken'
  | 'wire-lost'
  | 'overloaded'
  | 'refused'
  // ends of sessions and streams
  | 'closed'
  | 'session-lost'
  | 'session-replaced'
  | 'stream-reset'
  | 'no-such-stream'
  | 'no-such-service'
  | 'message-too-large'
  | 'aborted'

/** A fault as a value. `detail` says which thing was wrong; `got` and `limit` are numbers where a bound was broken. */
export interface Fault {
  readonly code: FaultCode
  readonly detail?: string
  readonly got?: number
  readonly limit?: number
}

/** Outcome of judging something from outside: the value, or the fault. */
export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: Fault }

export function ok<T>(value: T): Result<T> {
  return { ok: true, value }
}

/** What says why, of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

export function fail(fault: Fault): { readonly ok: false; readonly fault: Fault } {
  return { ok: false, fault }
}
