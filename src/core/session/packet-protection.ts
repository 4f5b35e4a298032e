/**
 * What seals and opens a session's packets (spec 4.1), as far as the session needs to know it. In production this is
 * the packet cipher with the keys of the handshake; tests and the simulator may put something cheaper in its place.
 */

/** First byte of a packet in a frame's body. */
export const PACKET_KIND = 0x10
/** `kind u8 | number u48`: what is authenticated beside the sealed bytes. */
export const PACKET_HEADER_BYTES = 7
export const PACKET_TAG_BYTES = 16

/** The header is lent for the call only. */
export interface PacketProtection {
  /** Seals the concatenated parts. The result shares no memory with the parts, which are used again at once. */
  seal(number: number, header: Uint8Array, parts: readonly Uint8Array[]): Uint8Array[]
  /** The plaintext in fresh memory, or null where the packet is not the other side's. Never throws. */
  open(number: number, header: Uint8Array, sealed: Uint8Array): Uint8Array | null
}
