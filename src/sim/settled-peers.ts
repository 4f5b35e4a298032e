/** The peers of a world that begins settled: who they are and where they stand, before any of them is made. */
import type { Address } from '../core/base/address.ts'
import type { PeerId } from '../core/base/peer-id.ts'
import type { Position } from '../core/base/position.ts'
import { positionOfPeer } from '../core/crypto/peer-ref.ts'
import type { Identity } from '../core/crypto/suite.ts'
import { type PeerProfile, plainProfile } from './network-model.ts'
import { placeOf } from './node.ts'
import type { World } from './world.ts'

export interface SettledPeer {
  readonly identity: Identity
  readonly peer: PeerId
  readonly position: Position
  readonly identitySeed: Uint8Array
  readonly profile: PeerProfile
  readonly address: Address
  readonly public: boolean
  /** How many links it carries. */
  readonly capacity: number
}

/** By index, as the nodes will be. */
export interface SettledPeers {
  readonly all: readonly SettledPeer[]
  /** Indexes in the order of the ring, and each one's place in it. */
  readonly ring: Uint32Array
  readonly rankOf: Uint32Array
  /** Indexes of those that accept dials, in the order of making and in that of the ring. */
  readonly open: Uint32Array
  readonly openRing: Uint32Array
  // By index: what is asked of all of them again and again, without a look into as many objects.
  readonly positions: Float64Array
  readonly capacities: Uint16Array
  /** 1 where it accepts dials. */
  readonly publics: Uint8Array
}

export function drawPeers(world: World, count: number, waysIn: number): SettledPeers {
  const all: SettledPeer[] = []
  for (let i = 0; i < count; i += 1) {
    const identitySeed = world.suite.randomBytes(32)
    const identity = world.suite.identity(identitySeed)
    const { peer, publicKey } = identity
    const profile = world.model?.draw(i < waysIn ? { public: true, device: 'server' } : {}) ?? plainProfile(i % 2 === 0)
    all.push({
      identity,
      peer,
      position: positionOfPeer(world.suite, publicKey),
      identitySeed,
      profile,
      address: placeOf(i),
      public: profile.nat === 'public',
      capacity: profile.capacity,
    })
  }
  const positions = Float64Array.from(all, peer => peer.position)
  const capacities = Uint16Array.from(all, peer => peer.capacity)
  const publics = Uint8Array.from(all, peer => (peer.public ? 1 : 0))
  const ring = Uint32Array.from(all.keys()).sort(
    (a, b) => positions[a]! - positions[b]! || (all[a]!.peer < all[b]!.peer ? -1 : 1),
  )
  const rankOf = new Uint32Array(count)
  for (const [rank, index] of ring.entries()) rankOf[index] = rank
  const open = Uint32Array.from(all.keys()).filter(index => publics[index] === 1)
  const openRing = ring.filter(index => publics[index] === 1)
  return { all, ring, rankOf, open, openRing, positions, capacities, publics }
}

/** Those that accept dials and stand closest to a place: `perSide` on each side of it. */
export function openAround({ openRing, positions }: SettledPeers, place: Position, perSide: number): number[] {
  const { length } = openRing
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >> 1
    if (positions[openRing[middle]!]! < place) low = middle + 1
    else high = middle
  }
  const around: number[] = []
  for (let step = -perSide; step < Math.min(perSide, length - perSide); step += 1) {
    around.push(openRing[(low + step + length) % length]!)
  }
  return around
}

/** Who stands `steps` places further on the ring. */
export function neighbourOf({ ring, rankOf }: SettledPeers, index: number, steps: number): number {
  const { length } = ring
  return ring[(rankOf[index]! + steps + length) % length]!
}
