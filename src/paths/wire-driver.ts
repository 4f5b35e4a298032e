/**
 * What every transport fulfils (spec 3.2). A driver translates: it opens a byte pipe, cuts what comes at frame borders
 * and hands it on; it knows nothing of what frames mean. One contract suite (`wire-contract.ts`) holds for all.
 */
import { type Address, type AddressScheme, hostPort } from '../core/base/address.ts'
import type { Fault } from '../core/base/fault.ts'
import type { WireFacts } from '../core/input.ts'

/** One open transport connection, or one being dialled. No method calls the sink before it returned. */
export interface Wire {
  /**
   * Writes one or more whole frames; `bytes` is the sum of the buffers. Allowed from `open` on: what is sent before the
   * wire is open goes out when it opens. The buffers must not change until they are reported written. Buffers that
   * are views of what `onFrames` is being given now are fine: the driver keeps that memory until they are written.
   */
  send(buffers: readonly Uint8Array[], bytes: number): void
  /** Ends the wire after what was sent; `onClosed` with 'closed' follows, and nothing else. */
  hangUp(): void
}

/** Who listens to a wire. After `onClosed`, which comes exactly once, nothing more is called. */
export interface WireSink {
  onOpen(about: WireFacts): void
  /** One or more whole frames back to back, borrowed until the call returns. */
  onFrames(bytes: Uint8Array): void
  /** So many of the bytes sent have left the process. Each byte is reported once, unless the wire closes first. */
  onWritten(bytes: number): void
  /** Faults: 'closed' (either side hung up), 'wire-lost', 'dial-failed', 'dial-timeout', 'frame-too-large', 'malformed'. */
  onClosed(fault: Fault): void
}

/** What is told of a wire whose other end is there. */
export function wireFacts(transport: WireFacts['transport'], host: string, port: number): WireFacts {
  return { transport, remote: hostPort({ host, port }), remoteHost: host }
}

export interface WireDriver {
  readonly schemes: readonly AddressScheme[]
  /** Dials. An address that cannot be dialled here ends in `onClosed` too; `open` never throws. */
  open(address: Address, sink: WireSink): Wire
}

/** Takes wires that others dialled: the sink returned is told `onOpen` next. */
export type Acceptor = (wire: Wire) => WireSink

/** After this a dial has failed. */
export const DIAL_TIMEOUT_MS = 10_000
/** How long a wire that was hung up may take to hand its last bytes over. */
export const LINGER_MS = 2_000
