/**
 * Which hosts are the same machine from anywhere on the internet (spec 2.3), and which mean something within one network alone.
 * By their text, without looking anything up.
 */

/** Names of this machine or of a local network: RFC 6761, 6762, 8375, and the one that ICANN reserved for private use. */
const LOCAL_NAME = /(^|\.)(localhost|local|internal|home\.arpa)$/
const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/
const IPV4_WITHIN_IPV6 = /^::ffff:([\d.]+)$/i

/**
 * An IPv4 address that `isPublicIpv4` lets pass, an IPv6 address of 2000::/3 (all that is given out, RFC 4291), or a name that is
 * not of a local network. Addresses that are kept for examples count: nobody has them.
 */
export function isGlobalHost(host: string): boolean {
  if (host.includes(':')) return isGlobalIpv6(host)
  if (/^[\d.]+$/.test(host)) return isPublicIpv4(host)
  return host.includes('.') && !LOCAL_NAME.test(host)
}

/** Reached from anywhere: not private, shared by a provider's NAT (RFC 6598), this machine's or link's own, or no machine's. */
export function isPublicIpv4(host: string): boolean {
  const parts = IPV4.exec(host)?.slice(1).map(Number)
  if (parts === undefined || parts.some(part => part > 255)) return false
  const [a = 0, b = 0] = parts
  if (a === 0 || a === 10 || a === 127 || a >= 224) return false
  if (a === 100) return b < 64 || b > 127
  if (a === 169) return b !== 254
  if (a === 172) return b < 16 || b > 31
  return a !== 192 || b !== 168
}

function isGlobalIpv6(host: string): boolean {
  const within = IPV4_WITHIN_IPV6.exec(host)?.[1]
  return within === undefined ? /^[23][\da-f]{3}:/i.test(host) : isPublicIpv4(within)
}
