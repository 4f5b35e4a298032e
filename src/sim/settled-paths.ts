/**
 * Over what the links of a settled world run: a wire where either end accepts dials or both NATs let one through, else a
 * circuit over as few public relays as there are, each linked to the next; among as good ones the less used.
 */
import type { WireFacts } from '../core/input.ts'
import { punchShare } from './network-model.ts'
import { negotiableOn } from './punching.ts'
import type { SettledLinks } from './settled-links.ts'
import type { SettledPeer } from './settled-peers.ts'

/** The relays between two peers, first the one next to the asker; none for a wire. */
export type Relays = readonly number[]

const WIRE: Relays = []
const TRANSPORTS = [null, 'tcp', 'udp', 'webrtc'] as const satisfies readonly (WireFacts['transport'] | null)[]
type Transport = (typeof TRANSPORTS)[number]

export class SettledPaths {
  private readonly links: SettledLinks
  /** By link: which of `TRANSPORTS`. */
  private readonly transports: Uint8Array
  /** By link; those that run over wires are not in it. */
  private readonly relays = new Map<number, Relays>()
  /** By peer: how many circuits it relays. */
  private readonly loads: Uint32Array
  /** By peer: in which search it was found from the granter's side, and through whom. */
  private readonly foundIn: Uint32Array
  private readonly foundThrough: Uint32Array
  private search = 0

  /** `punches`: whether machines negotiate wires through their NATs. */
  constructor(links: SettledLinks, punches: boolean) {
    const { all } = links.peers
    const { length } = all
    this.links = links
    this.transports = new Uint8Array(links.count)
    this.loads = new Uint32Array(length)
    this.foundIn = new Uint32Array(length)
    this.foundThrough = new Uint32Array(length)
    for (let link = 0; link < links.count; link += 1) {
      const transport = transportBetween(all[links.askers[link]!]!, all[links.granters[link]!]!, punches)
      this.transports[link] = TRANSPORTS.indexOf(transport)
      if (transport !== null) continue
      const relays = this.between(links.askers[link]!, links.granters[link]!)
      for (const relay of relays) this.loads[relay] = this.loads[relay]! + 1
      this.relays.set(link, relays)
    }
  }

  /** What the link's wire is; null where it runs over a circuit. */
  transport(link: number): Transport {
    return TRANSPORTS[this.transports[link]!]!
  }

  isWire(link: number): boolean {
    return this.transports[link] !== 0
  }

  /** Negotiated by both ends. */
  isPunched(link: number): boolean {
    const transport = this.transport(link)
    return transport !== null && transport !== 'tcp'
  }

  relaysOf(link: number): Relays {
    return this.relays.get(link) ?? WIRE
  }

  /** All links that run over circuits. */
  circuits(): Iterable<readonly [link: number, relays: Relays]> {
    return this.relays
  }

  /** Random links are given up for others now and then: they carry circuits only where nothing else does. */
  private between(asker: number, granter: number): Relays {
    const relays = this.chain(asker, granter, true) ?? this.chain(asker, granter, false)
    if (relays === null) throw new RangeError('too few public peers for a settled world')
    return relays
  }

  /** One, two or three public peers; four in worlds of a million, where those known to both ends are far apart. */
  private chain(asker: number, granter: number, lasting: boolean): Relays | null {
    const near = this.openLinksOf(asker, lasting)
    const there = this.openLinksOf(granter, lasting)
    this.search += 1
    for (const relay of there) this.find(relay, relay)
    const common = this.leastUsed(near.filter(relay => this.isFound(relay)))
    if (common !== null) return [common]
    for (const relay of near) {
      const next = this.leastUsed(this.openLinksOf(relay, lasting).filter(other => this.isFound(other)))
      if (next !== null) return [relay, next]
    }
    for (const relay of there) for (const other of this.openLinksOf(relay, lasting)) this.find(other, relay)
    for (const relay of near) {
      const next = this.leastUsed(this.openLinksOf(relay, lasting).filter(other => this.isFound(other)))
      if (next !== null) return [relay, next, this.foundThrough[next]!]
    }
    for (const relay of near) {
      for (const middle of this.openLinksOf(relay, lasting)) {
        const next = this.leastUsed(this.openLinksOf(middle, lasting).filter(other => this.isFound(other)))
        if (next !== null) return [relay, middle, next, this.foundThrough[next]!]
      }
    }
    return null
  }

  private openLinksOf(index: number, lasting: boolean): number[] {
    const { links } = this
    const found: number[] = []
    for (let at = 0; at < links.degree(index); at += 1) {
      const link = links.linkOf(index, at)
      const other = links.other(link, index)
      if (links.peers.all[other]!.public && !(lasting && links.isRandom(link))) found.push(other)
    }
    return found
  }

  private find(index: number, through: number): void {
    this.foundIn[index] = this.search
    this.foundThrough[index] = through
  }

  private isFound(index: number): boolean {
    return this.foundIn[index] === this.search
  }

  private leastUsed(relays: readonly number[]): number | null {
    const { all } = this.links.peers
    let best: number | null = null
    let bestLoad = Number.POSITIVE_INFINITY
    for (const relay of relays) {
      const load = this.loads[relay]! / all[relay]!.capacity
      if (load < bestLoad) {
        best = relay
        bestLoad = load
      }
    }
    return best
  }
}

/** Those that succeed now and then have succeeded by now. */
function transportBetween(a: SettledPeer, b: SettledPeer, punches: boolean): Transport {
  if (a.public || b.public) return 'tcp'
  if (!punches) return null
  const theirs = negotiableOn(b.profile.device)
  const common = negotiableOn(a.profile.device).find(one => theirs.some(other => other.transport === one.transport))
  if (common === undefined) return null
  return punchShare(a.profile.nat, b.profile.nat, common.transport) > 0 ? common.transport : null
}
