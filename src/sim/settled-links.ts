/**
 * Who is linked to whom in a settled world: near links of all, public ones of those that cannot be dialled, far and random
 * ones as `LinkSeeking` asks for them, each peer its part of them in turns, and refused where there is no room. Both ends
 * of a link count it, and none has more than it carries.
 */

import { ringDistance } from '../core/base/position.ts'
import { Rng } from '../core/base/rng.ts'
import { HUB_FROM_PEERS, LINKS_RESERVED, NEAR_PER_SIDE, PUBLIC_LINKS_MIN } from '../core/limits.ts'
import { drawFarTarget, farMismatch, mayBeHub } from '../core/overlay/far-link-choice.ts'
import { FAR_MISMATCH_MAX } from '../core/overlay/link-seeking.ts'
import { type LinkRole, linkQuota } from '../core/overlay/link-table.ts'
import type { SettledMemory } from './settled-memory.ts'
import { neighbourOf, openAround, type SettledPeers } from './settled-peers.ts'

const ROLES = ['near', 'far', 'random', 'public', 'guest'] as const satisfies readonly LinkRole[]
type Role = (typeof ROLES)[number]

/** Each peer asks for its far and random links in so many turns: else the first would take all that the servers have. */
const TURNS = 4
/** The answer to a search for public peers around a place names so many on each side, the answerer and its memory aside. */
const SEARCHED_PER_SIDE = 2
/** A peer that seeks a public link meets so many before it takes the least loaded. */
const PUBLIC_TRIED = 4

/** Links by number; each peer's in the order of making. */
export class SettledLinks {
  readonly peers: SettledPeers
  /** How many links there are. */
  count = 0
  /** Who asked for the link, and who granted it. */
  readonly askers: Uint32Array
  readonly granters: Uint32Array
  private readonly roles: Uint8Array
  /** Where a peer's links begin in `slots`, and how many it has. */
  private readonly firstSlots: Uint32Array
  private readonly degrees: Uint32Array
  private readonly slots: Uint32Array

  constructor(peers: SettledPeers) {
    const { length } = peers.all
    this.peers = peers
    this.firstSlots = new Uint32Array(length + 1)
    for (let i = 0; i < length; i += 1) this.firstSlots[i + 1] = this.firstSlots[i]! + peers.capacities[i]!
    const slots = this.firstSlots[length]!
    this.slots = new Uint32Array(slots)
    this.degrees = new Uint32Array(length)
    this.askers = new Uint32Array(slots >> 1)
    this.granters = new Uint32Array(slots >> 1)
    this.roles = new Uint8Array(slots >> 1)
  }

  degree(index: number): number {
    return this.degrees[index]!
  }

  /** Places that are not taken. */
  room(index: number): number {
    return this.peers.capacities[index]! - this.degrees[index]!
  }

  /** The `at`th link of a peer. */
  linkOf(index: number, at: number): number {
    return this.slots[this.firstSlots[index]! + at]!
  }

  other(link: number, index: number): number {
    const asker = this.askers[link]!
    return asker === index ? this.granters[link]! : asker
  }

  /** What the link is for a peer: near ones for both ends, others for the one that asked. */
  role(link: number, index: number): Role {
    const role = ROLES[this.roles[link]!]!
    return role === 'near' || this.askers[link] === index ? role : 'guest'
  }

  isRandom(link: number): boolean {
    return ROLES[this.roles[link]!] === 'random'
  }

  areLinked(a: number, b: number): boolean {
    const [few, other] = this.degrees[a]! <= this.degrees[b]! ? [a, b] : [b, a]
    for (let at = 0; at < this.degrees[few]!; at += 1) if (this.other(this.linkOf(few, at), few) === other) return true
    return false
  }

  add(asker: number, granter: number, role: Role): void {
    const link = this.count
    this.count += 1
    this.askers[link] = asker
    this.granters[link] = granter
    this.roles[link] = ROLES.indexOf(role)
    for (const index of [asker, granter]) {
      this.slots[this.firstSlots[index]! + this.degrees[index]!] = link
      this.degrees[index] = this.degrees[index]! + 1
    }
  }
}

export function drawLinks(peers: SettledPeers, memory: SettledMemory, seed: string): SettledLinks {
  const links = new SettledLinks(peers)
  const rng = new Rng(`${seed}/links`)
  const order = rng.sample([...peers.all.keys()], peers.all.length)
  for (const index of peers.all.keys()) {
    for (let step = 1; step <= NEAR_PER_SIDE; step += 1) {
      const other = neighbourOf(peers, index, step)
      if (other !== index && !links.areLinked(index, other)) links.add(index, other, 'near')
    }
  }
  for (const index of order) if (peers.publics[index] === 0) linkPublic(links, index, rng)
  for (let turn = 1; turn <= TURNS; turn += 1) {
    for (const index of order) linkRoaming(links, memory, index, turn / TURNS, rng)
  }
  return links
}

/** Near links with public peers count as well. */
function linkPublic(links: SettledLinks, index: number, rng: Rng): void {
  const { open, publics, capacities } = links.peers
  let missing = PUBLIC_LINKS_MIN
  for (let at = 0; at < links.degree(index); at += 1) {
    missing -= publics[links.other(links.linkOf(index, at), index)]!
  }
  for (; missing > 0; missing -= 1) {
    let best: number | null = null
    let bestLoad = Number.POSITIVE_INFINITY
    for (let tries = 0, met = 0; met < PUBLIC_TRIED && tries < 4 * PUBLIC_TRIED; tries += 1) {
      const other = open[rng.below(open.length)]!
      if (links.room(other) <= LINKS_RESERVED || links.areLinked(index, other)) continue
      met += 1
      const load = links.degree(other) / capacities[other]!
      if (load < bestLoad) {
        best = other
        bestLoad = load
      }
    }
    if (best === null) return
    links.add(index, best, 'public')
  }
}

/** Far and random links up to this share of their quotas, among those that the peer remembers. */
function linkRoaming(links: SettledLinks, memory: SettledMemory, index: number, share: number, rng: Rng): void {
  const { positions, capacities, publics } = links.peers
  if (links.room(index) <= LINKS_RESERVED) return
  const { far, random } = linkQuota(capacities[index]!)
  const known = memory.of(index)
  const open = [...known.near.filter(other => publics[other] === 1), ...known.open]
  const anyone = publics[index] === 1 ? [...known.near, ...known.open, ...known.hidden] : open
  const position = positions[index]!
  let randomMissing = Math.ceil(random * share) - countOf(links, index, 'random')
  let farMissing = Math.ceil(far * share) - countOf(links, index, 'far')
  const isFree = (other: number): boolean => links.room(other) > LINKS_RESERVED && !links.areLinked(index, other)
  while ((randomMissing > 0 || farMissing > 0) && links.room(index) > LINKS_RESERVED) {
    if (randomMissing > 0) {
      randomMissing -= 1
      const other = drawFree(anyone, isFree, rng)
      if (other !== null) links.add(index, other, 'random')
    }
    if (farMissing > 0 && links.room(index) > LINKS_RESERVED) {
      farMissing -= 1
      const hub = share === 1 / TURNS && positions.length >= HUB_FROM_PEERS ? hubOf(links, index, open, isFree) : null
      if (hub !== null) {
        links.add(index, hub, 'far')
        continue
      }
      const target = drawFarTarget(position, positions.length, rng)
      let best: number | null = null
      let bestMismatch = FAR_MISMATCH_MAX
      const consider = (other: number): void => {
        const mismatch = farMismatch(position, target, positions[other]!, capacities[other]!)
        if (mismatch >= bestMismatch || other === index || !isFree(other)) return
        best = other
        bestMismatch = mismatch
      }
      for (const other of open) consider(other)
      // Where nobody that it knows fits, the peer searches for the public ones next to the place.
      if (best === null) for (const other of openAround(links.peers, target, SEARCHED_PER_SIDE)) consider(other)
      if (best !== null) links.add(index, best, 'far')
    }
  }
}

/** The nearest large public peer of which a peer knows, by memory or by its search for itself, unless it has one nearer. */
function hubOf(
  links: SettledLinks,
  index: number,
  known: readonly number[],
  isFree: (other: number) => boolean,
): number | null {
  const { positions, publics, capacities } = links.peers
  const distanceTo = (other: number): number => ringDistance(positions[index]!, positions[other]!)
  let nearest = Number.POSITIVE_INFINITY
  for (let at = 0; at < links.degree(index); at += 1) {
    const other = links.other(links.linkOf(index, at), index)
    if (publics[other] === 1 && mayBeHub(capacities[other]!)) nearest = Math.min(nearest, distanceTo(other))
  }
  let hub: number | null = null
  for (const other of [...known, ...openAround(links.peers, positions[index]!, SEARCHED_PER_SIDE)]) {
    if (other === index || !mayBeHub(capacities[other]!) || distanceTo(other) >= nearest || !isFree(other)) continue
    hub = other
    nearest = distanceTo(other)
  }
  return hub
}

function drawFree(from: readonly number[], isFree: (index: number) => boolean, rng: Rng): number | null {
  for (let tries = 0; tries < 8; tries += 1) {
    const other = rng.pick(from)
    if (other !== undefined && isFree(other)) return other
  }
  return null
}

function countOf(links: SettledLinks, index: number, role: Role): number {
  let count = 0
  for (let at = 0; at < links.degree(index); at += 1) {
    if (links.role(links.linkOf(index, at), index) === role) count += 1
  }
  return count
}
