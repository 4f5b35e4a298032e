/** The addresses of this machine that others might reach, and when they change: Node has no event for that. */
import { networkInterfaces } from 'node:os'

/** A look takes some 250 µs. */
const LOOK_MS = 500

/** No loopback, no link-local ones; IPv4 first: in most networks it is the one that others can dial. */
export function ownHosts(): readonly string[] {
  const hosts = Object.values(networkInterfaces())
    .flatMap(addresses => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80') && !address.startsWith('169.254.'))
    .map(({ address }) => address)
  return [...hosts.filter(host => !host.includes(':')), ...hosts.filter(host => host.includes(':'))]
}

/** Tells of each change, and whether one is gone, until what it returns is called. Keeps no process alive. */
export function watchOwnHosts(onChanged: (lost: boolean) => void): () => void {
  let before = ownHosts()
  const timer = setInterval(() => {
    const now = ownHosts()
    const lost = before.some(host => !now.includes(host))
    if (!lost && now.length === before.length) return
    before = now
    onChanged(lost)
  }, LOOK_MS)
  timer.unref()
  return () => clearInterval(timer)
}
