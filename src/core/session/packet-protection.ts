/**
 * What seals and opens a session's packets (spec 4.1), as far as the session needs to know it. In production this is
 * the packet cipher with the keys of the handshake; tests and the simulator may put something cheaper in its place.
 */

/** First byte of a packet in a frame's body. */
export const PACKET_KIND = 0x10
/** The same of a packet that is not sealed: the path encrypts, for this session alone. */
export const BARE_PACKET_KIND = 0x11
/** `kind u8 | number u48`: what is authenticated beside the sealed bytes. */
export const PACKET_HEADER_BYTES = 7
export const PACKET_TAG_BYTES = 16

/** Of both directions. The header is lent for the call only. */
export interface PacketProtection {
  /** What the next packet is sealed under at least. */
  readonly unusedNumber: number
  /**
   * Seals the concatenated parts. The result shares no memory with the parts, which are used again at once; its first
   * buffer begins with `spareBytes` zeros.
   */
  seal(number: number, header: Uint8Array, parts: readonly Uint8Array[], spareBytes: number): Uint8Array[]
  /** The plaintext of `sealed[start, end)` in fresh memory, or null where it is not the other side's. Never throws. */
  open(number: number, header: Uint8Array, sealed: Uint8Array, start: number, end: number): Uint8Array | null
  /** The number of the next packet, which goes bare: nothing is ever sealed under it. */
  takeNumber(): number
  /** A bare packet came under this number. False where no honest side can have got so far: it is dropped. */
  passNumber(number: number): boolean
}
