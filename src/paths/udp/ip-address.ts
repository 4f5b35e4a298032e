/** IP addresses as text and as bytes, and which of them a stranger may send a peer to. */

/** 4 or 16 bytes; null where it is no IP address. */
export function bytesOfIp(text: string): Uint8Array | null {
  return text.includes(':') ? bytesOfIpv6(text) : bytesOfIpv4(text)
}

/** IPv4 with dots; IPv6 in full: eight groups without leading zeros, none left out. */
export function ipOfBytes(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16))
  return groups.join(':')
}

/** The same text for the same address, however it was written; IPv4 in IPv6 as IPv4. Null where it is none. */
export function plainIp(text: string): string | null {
  const bytes = bytesOfIp(text)
  if (bytes === null) return null
  const isMapped = bytes.length === 16 && bytes.subarray(0, 10).every(byte => byte === 0) && bytes[10] === 255
  return ipOfBytes(isMapped ? bytes.subarray(12) : bytes)
}

/** No single machine elsewhere: unspecified, multicast, broadcast; and this one: loopback, unless that is wanted. */
export function mayBeSentTo(ip: string, loopback: boolean): boolean {
  const plain = plainIp(ip)
  const bytes = plain === null ? null : bytesOfIp(plain)
  if (bytes === null) return false
  const [first] = bytes
  if (bytes.length === 4) {
    if (first === 127) return loopback
    return first !== 0 && first! < 224
  }
  const rest = bytes.subarray(0, 15).every(byte => byte === 0)
  if (rest) return bytes[15] === 1 && loopback
  return first !== 255
}

function bytesOfIpv4(text: string): Uint8Array | null {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every(part => /^\d{1,3}$/.test(part) && Number(part) < 256)) return null
  return Uint8Array.from(parts, Number)
}

function bytesOfIpv6(text: string): Uint8Array | null {
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  if (tail !== null) {
    const ipv4 = bytesOfIpv4(tail[2]!)
    if (ipv4 === null) return null
    const words = [0, 2].map(i => ((ipv4[i]! << 8) | ipv4[i + 1]!).toString(16))
    return bytesOfIpv6(`${tail[1]}${words.join(':')}`)
  }
  const halves = text.split('::')
  if (halves.length > 2) return null
  const [before = [], after = []] = halves.map(half => (half === '' ? [] : half.split(':')))
  const missing = 8 - before.length - after.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null
  const groups = [...before, ...Array.from({ length: missing }, () => '0'), ...after]
  if (!groups.every(group => /^[0-9a-f]{1,4}$/i.test(group))) return null
  const bytes = new Uint8Array(16)
  for (const [i, group] of groups.entries()) {
    bytes[2 * i] = Number.parseInt(group, 16) >> 8
    bytes[2 * i + 1] = Number.parseInt(group, 16) & 255
  }
  return bytes
}
