/**
 * Peers that prove who they are and then break every rule, in virtual time. Whatever they say, the victim never throws,
 * keeps its tables within their bounds, ends the session where the protocol was broken, and serves the others.
 */
import { beforeEach, describe, expect, it } from 'vitest'
import { ByteWriter, concatBytes } from '../../src/core/base/bytes.ts'
import { RING } from '../../src/core/base/position.ts'
import { REF_LIFETIME_MS, signPeerRef } from '../../src/core/crypto/peer-ref.ts'
import {
  CIRCUIT_QUEUES_BYTES_MAX,
  CIRCUITS_PER_NEIGHBOUR_MAX,
  NEIGHBOURS_MAX,
  REACHING_MAX,
  RECORDS_MAX,
  REMEMBERED_MAX,
  ROUTED_PER_NEIGHBOUR_MAX,
  SESSIONS_UNPROVEN_MAX,
  STREAMS_OPEN_MAX,
} from '../../src/core/limits.ts'
import { encodeOverlayMessage, type OverlayMessage } from '../../src/core/overlay/overlay-messages.ts'
import { signRecord } from '../../src/core/registry/record.ts'
import { encodeRegistryMessage, encodeRegistryRequest } from '../../src/core/registry/registry-messages.ts'
import type { ServiceName } from '../../src/core/registry/service-name.ts'
import { Channel } from '../../src/core/session/session-owner.ts'
import { type Node, World } from '../../src/sim/world.ts'
import { bytesOf, connectorOf, HostileNode } from './hostile-node.fixtures.ts'

const SERVICE = 'rough.example/1'
const CAPACITY = 12

let world: World
let victim: Node
let honest: Node[]
let hostile: HostileNode

beforeEach(() => {
  grow(7)
})

/** The victim, four honest peers and the hostile one, all in one service. */
function grow(seed: number): void {
  world = new World({ seed, delayMs: [2, 8] })
  victim = world.add({ public: true, capacity: CAPACITY })
  honest = []
  for (let i = 0; i < 4; i += 1) {
    const node = world.add({ public: i % 2 === 0 })
    node.join(victim)
    honest.push(node)
  }
  const node = world.add({ public: true })
  hostile = new HostileNode(world, node)
  node.join(victim)
  world.run(3_000)
  for (const member of [victim, ...honest, node])
    member.ask(request => ({ kind: 'service-join', request, service: SERVICE, summary: '' }))
  world.run(8_000)
  victim.events.length = 0
}

/** How large what strangers can grow has become. */
function tables() {
  const { counts } = connectorOf(victim)
  // reason: the overlay of the production peer is private; this looks at sizes only.
  const { overlay } = victim.peer as unknown as {
    overlay: { links: { size: number }; memory: { size: number }; requests: { size: number } }
  }
  const { links, memory, requests } = overlay
  const { records } = victim.peer.snapshot()
  return { ...counts, links: links.size, memory: memory.size, routed: requests.size, records }
}

const BOUNDS: Partial<Record<keyof ReturnType<typeof tables>, number>> = {
  wires: 64,
  sessions: 64,
  contacts: 64,
  retired: 64,
  unused: 64,
  asks: 64,
  userPings: 8,
  attempts: REACHING_MAX,
  circuitEnds: CIRCUITS_PER_NEIGHBOUR_MAX + 16,
  hops: CIRCUITS_PER_NEIGHBOUR_MAX + 16,
  circuitLabels: 3 * CIRCUITS_PER_NEIGHBOUR_MAX + 64,
  labels: 4 * CIRCUITS_PER_NEIGHBOUR_MAX + 128,
  queuedBytes: CIRCUIT_QUEUES_BYTES_MAX,
  handshakes: SESSIONS_UNPROVEN_MAX,
  openings: REACHING_MAX,
  links: CAPACITY,
  memory: REMEMBERED_MAX,
  routed: ROUTED_PER_NEIGHBOUR_MAX + 64,
  records: RECORDS_MAX,
}

function expectBounded(): void {
  const sizes = tables()
  for (const [name, bound] of Object.entries(BOUNDS)) {
    // reason: the names are those of the sizes.
    expect(sizes[name as keyof typeof sizes], name).toBeLessThanOrEqual(bound)
  }
}

/** The others still find the victim, and one that never met it reaches it. */
function expectInService(): void {
  const newcomer = world.add({ public: true })
  newcomer.join(victim)
  const [caller] = honest
  const called = caller?.ask(request => ({ kind: 'connect', request, target: { kind: 'peer', peer: victim.id } }))
  const sent = caller?.ask(request => ({
    kind: 'service-broadcast',
    request,
    service: SERVICE,
    bytes: Uint8Array.of(1),
  }))
  const from = victim.events.length
  world.run(6_000)
  expect(newcomer.events.some(event => event.kind === 'joined')).toBe(true)
  expect(called?.answer()?.kind).toBe('connected')
  expect(sent?.answer()?.kind).toBe('broadcast-sent')
  const heard = victim.events.slice(from).filter(event => event.kind === 'message' && event.from === caller?.id)
  expect(heard).toHaveLength(1)
}

/** The codes with which the victim ended sessions with the hostile peer. */
function verdicts(): string[] {
  return victim.events.flatMap(event =>
    event.kind === 'session-closed' && event.peer === hostile.node.id ? [event.fault.code] : [],
  )
}

/** A session with the victim, opened again where it was ended. */
function ensureSession(): boolean {
  if (hostile.sessionWith(victim.id) !== null) return true
  hostile.node.ask(request => ({ kind: 'connect', request, target: { kind: 'ref', ref: victim.ref } }))
  world.run(60)
  return hostile.sessionWith(victim.id) !== null
}

function sayOverlay(message: OverlayMessage): boolean {
  return hostile.say(victim.id, Channel.overlay, encodeOverlayMessage(message))
}

describe('an authenticated peer that means ill', () => {
  it.each([1, 2, 3])('says random bytes and damaged messages on every channel, by the thousand (seed %i)', seed => {
    grow(seed)
    const { rng } = world
    let said = 0
    for (let i = 0; i < 1_500; i += 1) {
      if (!ensureSession()) continue
      const { channel, bytes } =
        rng.below(4) === 0 ? { channel: rng.below(5), bytes: bytesOf(rng, rng.below(120)) } : hostile.damaged()
      if (hostile.say(victim.id, channel, bytes)) said += 1
      world.run(rng.below(10) === 0 ? 200 : 3)
    }
    expect(said).toBeGreaterThan(700)
    expect(new Set(verdicts())).toContain('malformed')
    expectBounded()
    expectInService()
  })

  it('says requests of every method and key, answers to none, and pages of the registry that are none', () => {
    const { rng } = world
    const keys = [0, 1, RING - 1, RING / 2, victim.ref.position, hostile.node.ref.position]
    for (let i = 0; i < 4_000; i += 1) {
      if (!ensureSession()) continue
      const payload = rng.below(3) === 0 ? (hostile.damaged().bytes ?? bytesOf(rng, 9)) : bytesOf(rng, rng.below(80))
      const key = rng.pick(keys) ?? 0
      if (rng.below(3) > 0)
        sayOverlay({ kind: 'route', id: rng.below(9), key, method: rng.below(5), ttl: rng.below(256), payload })
      else sayOverlay({ kind: 'route-answer', id: rng.below(400), status: 'answered', hops: 255, payload })
      world.run(2)
    }
    expectBounded()
    expectInService()
  })

  it('floods requests towards a peer that is mute: the table of those that wait stays bounded', () => {
    const mute = world.add({ public: true })
    mute.join(victim)
    world.run(8_000)
    mute.kill(true)
    const payload = new Uint8Array(9)
    for (let i = 0; i < 8_000; i += 1) {
      sayOverlay({ kind: 'route', id: i, key: mute.ref.position, method: 2, ttl: 24, payload })
      if (i % 20 === 19) world.run(1)
    }
    expect(tables().routed).toBeGreaterThan(100)
    expectBounded()
    // The victim's own requests find room meanwhile.
    const found = victim.ask(request => ({ kind: 'service-find', request, service: SERVICE }))
    world.run(6_000)
    expect(found.answer()?.kind).toBe('service-found')
    world.run(30_000)
    expect(tables().routed).toBeLessThan(10)
    expectInService()
  })

  it('asks for the link ten thousand times, drops it, and says hello without end', () => {
    const purposes = ['near', 'far', 'random', 'public', 'way-in'] as const
    for (let i = 0; i < 10_000; i += 1) {
      if (i % 100 === 0) ensureSession()
      sayOverlay(i % 7 === 0 ? { kind: 'link-drop' } : { kind: 'link-ask', purpose: purposes[i % 5] ?? 'near' })
      if (i % 3 === 0) sayOverlay({ kind: 'hello', ref: hostile.node.ref.bytes })
      if (i % 10 === 9) world.run(1)
    }
    world.run(3_000)
    expectBounded()
    expectInService()
  })

  it('gossips refs that are forged, expired, of others, the same, and thousands of its own making', () => {
    const { suite, rng } = world
    const genuine = victim.ref.bytes
    for (let i = 0; i < 400; i += 1) {
      ensureSession()
      const refs = Array.from({ length: 16 }, (_, n) => {
        if (n === 0) {
          const forged = genuine.slice()
          forged[rng.below(forged.length)]! ^= 1
          return { ageSeconds: 0, bytes: forged }
        }
        const expires = 1_800_000_000_000 + (n === 1 ? -1 : REF_LIFETIME_MS)
        const host = `10.99.${rng.below(256)}.${rng.below(256)}`
        const made = signPeerRef(suite, suite.identity(bytesOf(rng, 32)), {
          sequence: 1_800_000_000_000 + i,
          expires,
          capacity: 65_535,
          relays: true,
          addresses: [{ scheme: 'tcp', host, port: 1 + rng.below(65_535), extra: '' }],
          rendezvous: [],
        })
        return { ageSeconds: n === 2 ? 65_535 : 0, bytes: made.bytes }
      })
      sayOverlay({
        kind: i % 2 === 0 ? 'gossip' : 'link-answer',
        wantsAnswer: true,
        accepted: true,
        refs,
      } as OverlayMessage)
      world.run(20)
    }
    expectBounded()
    // Among all those that do not exist it has not forgotten those that do.
    world.run(30_000)
    for (const node of honest) expect(victim.peer.snapshot().links.map(link => link.peer)).toContain(node.id)
    expectInService()
  })

  it('publishes thousands of records of services that are none, put and passed on', () => {
    const { suite, rng } = world
    const now = 1_800_000_000_000 + world.now
    for (let i = 0; i < 40; i += 1) {
      const identity = suite.identity(bytesOf(rng, 32))
      const records: Uint8Array[] = []
      for (let n = 0; n < 60; n += 1) {
        // reason: it is written as names are.
        const service = `flood-${i}-${n}.example/1` as ServiceName
        const kind = n % 3 === 0 ? 'announcement' : 'descriptor'
        const withdrawn = n % 7 === 6
        const own = signPeerRef(suite, identity, {
          sequence: now + n,
          expires: now + REF_LIFETIME_MS,
          capacity: 1,
          relays: false,
          addresses: [],
          rendezvous: [],
        })
        const description = new ByteWriter().u32(0xffffffff).text('x'.repeat(200)).finish()
        const payload = withdrawn ? new Uint8Array(0) : kind === 'announcement' ? own.bytes : description
        const record = signRecord(suite, identity, {
          kind,
          withdrawn,
          service,
          sequence: now,
          expires: now + 590_000,
          payload,
        })
        records.push(record.bytes)
        const put = encodeRegistryRequest({ kind: 'put', record: record.bytes })
        if (n % 4 === 0) sayOverlay({ kind: 'route', id: n, key: record.key, method: 2, ttl: 24, payload: put })
      }
      for (let at = 0; at < records.length; at += 6) {
        const some = records.slice(at, at + 6)
        const message = encodeRegistryMessage({
          kind: 'replicate',
          side: at % 12 === 0 ? 'before' : 'after',
          hops: 16,
          records: some,
        })
        hostile.say(victim.id, Channel.registry, message)
      }
      world.run(20)
      if (i % 10 === 0) ensureSession()
    }
    expect(tables().records).toBeGreaterThan(1_000)
    expectBounded()
    const [caller] = honest
    const found = caller?.ask(request => ({ kind: 'service-find', request, service: SERVICE }))
    victim.ask(request => ({ kind: 'service-join', request, service: 'late.example/1', summary: '' }))
    world.run(15_000)
    const late = caller?.ask(request => ({ kind: 'service-find', request, service: 'late.example/1' }))
    world.run(5_000)
    expect(found?.answer()).toMatchObject({ kind: 'service-found' })
    expect(late?.answer()).toMatchObject({ kind: 'service-found', members: [{ peer: victim.id }] })
    expectInService()
  })

  it('says that it is linked to positions all over the ring, or to itself, or to more than there are', () => {
    const { rng } = world
    for (let i = 0; i < 500; i += 1) {
      ensureSession()
      const positions = Float64Array.from({ length: NEIGHBOURS_MAX }, () => Math.floor(rng.unit() * (RING - 1)))
      sayOverlay({ kind: 'neighbours', relayed: 0xffff, direct: i % 2 === 0 ? NEIGHBOURS_MAX : 0, positions })
      world.run(5)
    }
    const excess = new ByteWriter()
      .u8(5)
      .u16(0)
      .u16(0)
      .u16(0xffff)
      .raw(new Uint8Array(7 * 2_000))
      .finish()
    hostile.say(victim.id, Channel.overlay, excess)
    world.run(50)
    expect(verdicts()).toContain('malformed')
    expectInService()
  })

  it('opens circuits by the thousand: to nowhere, to others, to the victim itself, in circles', () => {
    const { rng } = world
    const targets = [victim.id, ...honest.map(node => node.id), hostile.node.id, '00'.repeat(32), 'ab'.repeat(32)]
    for (let i = 0; i < 6_000; i += 1) {
      if (i % 50 === 0) ensureSession()
      // reason: made of hexadecimal digits.
      const target = (rng.pick(targets) ?? victim.id) as Node['id']
      const via = rng.below(3) === 0 ? [victim.id] : [hostile.node.id]
      const frame = rng.below(2) === 0 ? new Uint8Array(0) : bytesOf(rng, rng.below(300))
      sayOverlay({ kind: 'circuit-open', label: rng.u32(), target, via, frame })
      if (rng.below(9) === 0) sayOverlay({ kind: 'circuit-close', label: rng.u32() })
      if (rng.below(9) === 0) sayOverlay({ kind: 'circuit-accept', forLabel: rng.u32(), label: rng.u32(), via })
      if (rng.below(9) === 0) sayOverlay({ kind: 'circuit-refuse', forLabel: rng.u32(), reason: 'no-route' })
      if (i % 10 === 9) world.run(2)
    }
    expectBounded()
    world.run(5_000)
    expectBounded()
    expectInService()
    world.run(120_000)
    // Circuits over which nothing goes are forgotten.
    expect(tables().circuitEnds).toBeLessThan(16)
    expect(tables().hops).toBeLessThan(16)
  })

  it('opens streams beyond the limit, sends without credit, and frames of no kind: each ends its session', () => {
    const frames: [string, () => void][] = [
      [
        'overloaded',
        () => {
          for (let i = 0; i <= STREAMS_OPEN_MAX + 1; i += 1)
            hostile.sayFrames(
              victim.id,
              new ByteWriter()
                .u8(8)
                .varint(2_000 + 2 * i + side())
                .sized(new Uint8Array(0))
                .finish(),
            )
        },
      ],
      [
        'malformed',
        () =>
          hostile.sayFrames(
            victim.id,
            new ByteWriter()
              .u8(9)
              .varint(9_999_998 + side())
              .sized(bytesOf(world.rng, 9))
              .finish(),
          ),
      ],
      ['malformed', () => hostile.sayFrames(victim.id, Uint8Array.of(0x7f))],
      ['malformed', () => hostile.sayFrames(victim.id, Uint8Array.of(1, 2))],
    ]
    for (const [code, attack] of frames) {
      expect(ensureSession()).toBe(true)
      victim.events.length = 0
      attack()
      world.run(100)
      expect(verdicts(), code).toContain(code)
    }
    expectBounded()
    expectInService()
  })

  it('sends a stream more than its credit: that ends the session as flow-control-broken', () => {
    expect(ensureSession()).toBe(true)
    const stream = 4_000 + side()
    hostile.sayFrames(victim.id, new ByteWriter().u8(8).varint(stream).sized(new TextEncoder().encode('x')).finish())
    world.run(20)
    const piece = new ByteWriter().u8(9).varint(stream).sized(new Uint8Array(16_000)).finish()
    for (let i = 0; i < 400 && verdicts().length === 0; i += 1) {
      hostile.sayFrames(victim.id, piece)
      world.run(5)
    }
    expect(verdicts()).toContain('flow-control-broken')
    expectInService()
  })

  it('pings a million times: it is answered or cut off, and nothing piles up', () => {
    const ping = new ByteWriter().u8(1).u32(5).finish()
    const many = concatBytes(...Array.from({ length: 1_000 }, () => ping))
    const before = victim.bytesSent
    for (let i = 0; i < 1_000; i += 1) {
      if (!ensureSession()) continue
      hostile.sayFrames(victim.id, many)
      world.run(2)
    }
    world.run(1_000)
    expect(victim.bytesSent - before).toBeLessThan(30_000_000)
    expectBounded()
    expectInService()
  })
})

/** Numbers of streams that the hostile side opens are even where it opened the session, else odd. */
function side(): number {
  return hostile.sessionWith(victim.id)?.initiator === true ? 0 : 1
}
