/**
 * Counts sockets by where they come from, so that one source cannot take them all: an IPv4 address, or an IPv6 /64,
 * which is what one customer holds at least. This machine itself is not counted where proxies may connect from there.
 */
export class SourceCount {
  private readonly counts = new Map<string, number>()
  private readonly most: number
  private readonly counted: 'others' | 'all'

  constructor(most: number, counted: 'others' | 'all' = 'others') {
    this.most = most
    this.counted = counted
  }

  /** False where the source has all it may have; each true is paid back by `leave`. */
  enter(host: string): boolean {
    const source = this.sourceOf(host)
    if (source === null) return true
    const count = this.counts.get(source) ?? 0
    if (count >= this.most) return false
    this.counts.set(source, count + 1)
    return true
  }

  leave(host: string): void {
    const source = this.sourceOf(host)
    if (source === null) return
    const count = this.counts.get(source) ?? 0
    if (count > 1) this.counts.set(source, count - 1)
    else this.counts.delete(source)
  }

  private sourceOf(host: string): string | null {
    return this.counted === 'others' && isOwn(host) ? null : networkOf(host)
  }
}

function isOwn(host: string): boolean {
  return host.startsWith('127.') || host === '::1'
}

function networkOf(host: string): string {
  if (!host.includes(':')) return host
  const [head = '', tail] = host.split('%', 1)[0]!.split('::')
  const groups = head === '' ? [] : head.split(':')
  if (tail !== undefined) {
    const after = tail === '' ? 0 : tail.split(':').length
    for (let missing = 8 - groups.length - after; missing > 0; missing -= 1) groups.push('0')
    groups.push(...tail.split(':'))
  }
  return groups.slice(0, 4).join(':')
}
