/** Short names that are bytes on the wire and text in tables: two lower-case hexadecimal digits a byte. */
export function hexOfBytes(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 1) text += bytes[i]!.toString(16).padStart(2, '0')
  return text
}

export function bytesOfHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
  return bytes
}
