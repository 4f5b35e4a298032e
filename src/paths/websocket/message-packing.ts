/** Packs buffers into WebSocket messages: few large ones, since each costs a header, an event and a call. */

/** A message is closed before it grows above this; a message is never larger than the largest buffer or this. */
const MESSAGE_BYTES_WANTED = 131_072
/** What a receiver takes in one message (spec 3.4). */
export const MESSAGE_BYTES_MAX = 1_048_576

export function packMessages(
  buffers: readonly Uint8Array[],
  bytes: number,
  allocate: (length: number) => Uint8Array,
): Uint8Array[] {
  const messages: Uint8Array[] = []
  let left = bytes
  for (let first = 0; first < buffers.length; ) {
    let length = 0
    let end = first
    while (end < buffers.length && (length === 0 || length + buffers[end]!.length <= MESSAGE_BYTES_WANTED)) {
      length += buffers[end]!.length
      end += 1
    }
    const message = allocate(length)
    let at = 0
    for (; first < end; first += 1) {
      message.set(buffers[first]!, at)
      at += buffers[first]!.length
    }
    messages.push(message)
    left -= length
  }
  if (left !== 0) throw new Error('broken invariant: a send states another length than its buffers have')
  return messages
}
