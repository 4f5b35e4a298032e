/** Wires negotiated over a session: who offers, what is answered, what bad words cost (spec 5.9). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { WireEnd } from '../../sim/network.ts'
import type { NegotiatedTransport, WireId } from '../input.ts'
import {
  NEGOTIATION_TIMEOUT_MS,
  NEGOTIATIONS_MAX,
  OFFER_FAILED_SOON_MS,
  OFFER_SOON_MS,
  OFFERS_REFUSED_MAX,
  OFFERS_SOON_MAX,
  OFFERS_TAKEN_MAX,
  PATH_DESCRIPTION_BYTES_MAX,
  SCARCE_WIRES_BURST,
  UPGRADE_AFTER_MS,
  UPGRADE_BACKOFF_MAX_MS,
  UPGRADE_BACKOFF_MS,
} from '../limits.ts'
import type { Negotiable } from '../peer-options.ts'
import { pattern } from '../session/session.fixtures.ts'
import { Channel } from '../session/session-owner.ts'
import { Turn } from '../turn.ts'
import { type Bare, type BareNet, bareNet, link } from './bare-peer.fixtures.ts'
import { Need } from './contact.ts'
import { encodePathMessage } from './path-messages.ts'

const UDP: Negotiable = { transport: 'udp', scarce: false, encrypts: false }
const WEBRTC: Negotiable = { transport: 'webrtc', scarce: false, encrypts: true }

interface Hidden {
  readonly net: BareNet
  readonly relay: Bare
  readonly a: Bare
  readonly b: Bare
  /** Of a session that `a` has opened over a circuit, and needs. */
  readonly session: number
}

/** Two peers that nobody can dial, and one that both are linked to. */
function hidden(negotiates: readonly [readonly Negotiable[], readonly Negotiable[]], seed = 1): Hidden {
  const net = bareNet(seed)
  const relay = net.add()
  const [a, b] = negotiates.map(list => net.add({ public: false, negotiates: list }))
  if (a === undefined || b === undefined) throw new Error('two were asked for')
  for (const end of [a, b]) link(end, relay)
  a.routeTo(b, relay)
  b.routeTo(a, relay)
  const call = a.callPeer(b.id)
  net.world.runUntil(() => call.answer() !== undefined, 2_000, 5)
  net.world.run(200)
  return { net, relay, a, b, session: a.sessionWith(b) ?? -1 }
}

interface Preparation {
  readonly wire: WireId
  readonly transport: NegotiatedTransport
  readonly remote: Uint8Array | null
  readonly at: number
}

/** Hosts that do nothing by themselves. */
function handMade(net: BareNet): { prepared: (bare: Bare) => Preparation[]; begun: WireId[]; hungUp: WireId[] } {
  const { world } = net
  const all = new Map<unknown, Preparation[]>()
  const begun: WireId[] = []
  const hungUp: WireId[] = []
  world.punching.prepare = (node, wire, transport, remote) => {
    all.set(node, [...(all.get(node) ?? []), { wire, transport, remote, at: world.now }])
  }
  world.punching.begin = (_node, wire) => {
    begun.push(wire)
  }
  world.punching.forget = (_node, wire) => {
    hungUp.push(wire)
    return true
  }
  return { prepared: bare => all.get(bare.node) ?? [], begun, hungUp }
}

function describeWire(bare: Bare, wire: WireId, bytes = 100): void {
  bare.node.input({ kind: 'wire-described', wire, description: new Uint8Array(bytes) })
}

function say(from: Bare, to: Bare, bytes: Uint8Array): void {
  from.peer.connector.sendMessage(new Turn(from.node.now, 0), to.id, Channel.path, bytes)
  from.node.input({ kind: 'wake' })
}

function letGo(from: Bare, other: Bare): void {
  const contact = from.peer.connector.contact(other.id)
  if (contact === null) throw new Error('they talk')
  from.peer.connector.release(contact, Need.user)
}

function transportTo(from: Bare, to: Bare): string {
  const view = from.peer.connector.contact(to.id)?.session.path?.view()
  return view?.kind === 'wire' ? view.transport : (view?.kind ?? 'none')
}

describe('a session over a circuit', () => {
  it('moves to a wire through the NATs, without losing a byte, and keeps the circuit for the stream', () => {
    const { net, relay, a, b, session } = hidden([[UDP], [UDP]])
    const bytes = pattern(8_000_000)
    const stream = a.openStream(session)
    expect(transportTo(a, b)).toBe('circuit')
    a.node.command({ kind: 'stream-write', session, stream, chunks: [bytes.slice()] })
    net.world.run(3_000)
    expect([transportTo(a, b), transportTo(b, a)]).toEqual(['udp', 'udp'])
    net.world.run(20_000)
    expect(Buffer.compare(b.bytesOn(stream), bytes)).toBe(0)
    expect([relay.counts.hops, a.counts.negotiations, b.counts.negotiations]).toEqual([1, 0, 0])
    a.node.command({ kind: 'stream-reset', session, stream, reset: 0 })
    net.world.run(60_000)
    expect(relay.counts.hops).toBe(0)
  })

  it('is not encrypted a second time over a wire that encrypts, and another session over it is', () => {
    for (const transport of [UDP, WEBRTC]) {
      const { net, a, b, session } = hidden([[transport], [transport]])
      net.world.run(3_000)
      const [here, there] = [
        [a, b],
        [b, a],
      ].map(([from, to]) => from!.peer.connector.contact(to!.id)!.session)
      expect(here!.path?.view()).toMatchObject({ transport: transport.transport })
      expect(here!.path?.shields(session)).toBe(transport.encrypts)
      expect(there!.path?.shields(there!.id)).toBe(transport.encrypts)
      expect(here!.path?.shields(session + 1)).toBe(false)
    }
  })

  it('stays on it where the hosts negotiate nothing, or nobody needs the session', () => {
    const none = hidden([[], []])
    none.net.world.run(60_000)
    expect(transportTo(none.a, none.b)).toBe('circuit')
    const { net, a, b, session } = hidden([[UDP], [UDP]])
    const hosts = handMade(net)
    letGo(a, b)
    net.world.run(10_000)
    expect(a.sessionWith(b)).toBe(session)
    expect(hosts.prepared(a)).toEqual([])
  })

  it('is offered a wire at once when somebody needs it that nobody needed for a while', () => {
    const { net, a, b } = hidden([[UDP], [UDP]])
    letGo(a, b)
    net.world.run(12_000)
    expect(transportTo(a, b)).toBe('circuit')
    a.callPeer(b.id)
    expect(net.world.runUntil(() => transportTo(a, b) === 'udp', 10_000, 10)).toBeLessThan(800)
  })

  it('is offered a wire by the side that did not open it, where that one alone needs it', () => {
    const { net, a, b } = hidden([[UDP], [UDP]])
    b.callPeer(a.id)
    letGo(a, b)
    net.world.run(5_000)
    expect([transportTo(a, b), transportTo(b, a)]).toEqual(['udp', 'udp'])
  })

  it('falls back to a circuit when the wire breaks, and is negotiated again', () => {
    const { net, a, b, session } = hidden([[UDP], [UDP]])
    net.world.run(40_000)
    expect(transportTo(a, b)).toBe('udp')
    net.world.cut(a.node, b.node)
    net.world.run(500)
    expect(transportTo(a, b)).toBe('circuit')
    net.world.run(4_000)
    expect([transportTo(a, b), transportTo(b, a)]).toEqual(['udp', 'udp'])
    expect(a.sessionWith(b)).toBe(session)
  })

  it('offers a wire that keeps breaking anew, soon at first, then rarely', () => {
    const { net, a, b } = hidden([[UDP], [UDP]])
    net.world.run(5_000)
    for (let breaks = 1; breaks <= OFFERS_SOON_MAX; breaks += 1) {
      expect(transportTo(a, b)).toBe('udp')
      net.world.cut(a.node, b.node)
      net.world.run(OFFER_SOON_MS * 2 ** breaks)
    }
    expect(transportTo(a, b)).toBe('udp')
    net.world.cut(a.node, b.node)
    const hosts = handMade(net)
    net.world.run(UPGRADE_BACKOFF_MS / 2)
    expect(hosts.prepared(a)).toEqual([])
    expect(transportTo(a, b)).toBe('circuit')
  })

  it('that had a wire offers another soon, and again where that comes to nothing: the network may not be whole yet', () => {
    const { net, a, b } = hidden([[UDP], [UDP]])
    net.world.run(5_000)
    net.world.cut(a.node, b.node)
    const hosts = handMade(net)
    for (let tries = 1; tries <= OFFERS_SOON_MAX; tries += 1) {
      net.world.run(OFFER_SOON_MS * 2 ** (tries - 1) + 500)
      expect(hosts.prepared(a)).toHaveLength(tries)
      net.world.run(NEGOTIATION_TIMEOUT_MS)
    }
    net.world.run(OFFER_SOON_MS * 2 ** OFFERS_SOON_MAX)
    expect(hosts.prepared(a)).toHaveLength(OFFERS_SOON_MAX)
    expect(transportTo(a, b)).toBe('circuit')
  })

  it('that never had a wire offers one soon where the network changed, and once: pages have few, and there may be no way', () => {
    const { net, a } = hidden([[UDP], [UDP]])
    const hosts = handMade(net)
    net.world.run(UPGRADE_AFTER_MS + NEGOTIATION_TIMEOUT_MS)
    expect(hosts.prepared(a)).toHaveLength(1)
    a.node.input({ kind: 'network-changed', lost: false })
    net.world.run(OFFER_SOON_MS + 500)
    expect(hosts.prepared(a)).toHaveLength(2)
    net.world.run(NEGOTIATION_TIMEOUT_MS + 10_000)
    expect(hosts.prepared(a)).toHaveLength(2)
  })

  it.each([
    ['offers at once what the ref of the other side tells of', true, ['webrtc']],
    ['tries the next transport where the other side has not the first', false, ['udp', 'webrtc']],
  ])('%s', (_, isTold, tried) => {
    const { net, a, b } = hidden([[UDP, WEBRTC], [WEBRTC]])
    const contact = a.peer.connector.contact(b.id)!
    expect(contact.ref?.negotiates).toEqual(['webrtc'])
    if (!isTold) contact.ref = null
    const prepared: string[] = []
    const { punching } = net.world
    const prepare = punching.prepare.bind(punching)
    punching.prepare = (node, wire, transport, remote) => {
      if (node === a.node) prepared.push(transport)
      prepare(node, wire, transport, remote)
    }
    net.world.run(4_000)
    expect([transportTo(a, b), transportTo(b, a)]).toEqual(['webrtc', 'webrtc'])
    expect(prepared).toEqual(tried)
  })

  it('offers nothing where the ref of the other side tells of other transports alone', () => {
    const { net, a, b } = hidden([[UDP], [WEBRTC]])
    const hosts = handMade(net)
    net.world.run(UPGRADE_BACKOFF_MAX_MS)
    expect([hosts.prepared(a), hosts.prepared(b)]).toEqual([[], []])
    expect(transportTo(a, b)).toBe('circuit')
  })

  it('leaves the path that works alone where the host never opens a wire, and tries ever more rarely', () => {
    const { net, a, b } = hidden([[UDP], [UDP]])
    const start = net.world.now
    const hosts = handMade(net)
    const minutes = 40
    for (let i = 0; i < minutes * 600; i += 1) {
      net.world.run(100)
      for (const bare of [a, b]) {
        const last = hosts.prepared(bare).at(-1)
        if (last !== undefined && last.at > net.world.now - 200) describeWire(bare, last.wire)
      }
    }
    const begins = hosts.prepared(a).map(({ at }) => Math.round((at - start) / 1_000))
    expect(begins[0]).toBeLessThanOrEqual(UPGRADE_AFTER_MS / 1_000 + 1)
    expect(begins.length).toBeGreaterThan(4)
    expect(begins.length).toBeLessThanOrEqual(8)
    const last = (begins.at(-1) ?? 0) - (begins.at(-2) ?? 0)
    expect(last).toBeGreaterThanOrEqual(UPGRADE_BACKOFF_MAX_MS / 1_000 - 1)
    expect(a.node.events.filter(event => event.kind === 'path')).toEqual([])
    expect(transportTo(a, b)).toBe('circuit')
    expect(hosts.hungUp).toContain(hosts.prepared(a)[0]?.wire)
    expect([a.counts.negotiations, b.counts.negotiations]).toEqual([0, 0])
  })

  it('asks the hosts but rarely where the NATs leave no way', () => {
    const { net, a, b } = hidden([
      [UDP, WEBRTC],
      [UDP, WEBRTC],
    ])
    const asked: string[] = []
    net.world.punching.prepare = (node, wire, transport) => {
      asked.push(transport)
      net.world.at(net.world.now, () => node.input({ kind: 'wire-closed', wire, fault: { code: 'not-supported' } }))
    }
    net.world.run(UPGRADE_BACKOFF_MAX_MS)
    expect(asked).toEqual(['udp', 'webrtc'])
    net.world.run(UPGRADE_BACKOFF_MAX_MS - 30_000)
    expect(asked).toEqual(['udp', 'webrtc', 'udp', 'webrtc'])
    expect(transportTo(a, b)).toBe('circuit')
  })

  it('whose answering host knows of no way hears of it once from one side, not from both', () => {
    const { net, a, b } = hidden([[UDP], [UDP]])
    b.callPeer(a.id)
    const asked: string[] = []
    net.world.punching.prepare = (node, wire, _transport, remote) => {
      asked.push(`${node === a.node ? 'a' : 'b'} ${remote === null ? 'offers' : 'answers'}`)
      const description = new Uint8Array(10)
      const fault = { code: 'not-supported' as const }
      net.world.at(net.world.now, () =>
        node.input(
          remote === null ? { kind: 'wire-described', wire, description } : { kind: 'wire-closed', wire, fault },
        ),
      )
    }
    net.world.run(UPGRADE_BACKOFF_MAX_MS)
    expect(asked).toEqual(['a offers', 'b answers'])
    expect(transportTo(a, b)).toBe('circuit')
  })
})

describe('a negotiation', () => {
  /** `a` has offered, `b` is preparing. */
  function offered(): Hidden & { readonly hosts: ReturnType<typeof handMade> } {
    const all = hidden([[UDP], [UDP]])
    const hosts = handMade(all.net)
    all.net.world.run(UPGRADE_AFTER_MS + 500)
    describeWire(all.a, hosts.prepared(all.a)[0]?.wire ?? 0)
    all.net.world.run(300)
    expect(hosts.prepared(all.b)).toHaveLength(1)
    return { ...all, hosts }
  }

  it('that both sides offer at once becomes one: that of the smaller id', () => {
    for (let seed = 1; seed <= 6; seed += 1) {
      const { net, a, b } = hidden([[UDP], [UDP]], seed)
      const { world } = net
      b.callPeer(a.id)
      const hosts = handMade(net)
      world.run(4_000)
      for (const bare of [a, b]) describeWire(bare, hosts.prepared(bare)[0]?.wire ?? 0)
      world.run(500)
      const [first, second] = a.id < b.id ? [a, b] : [b, a]
      expect(hosts.prepared(first), `seed ${seed}`).toMatchObject([{ remote: null }])
      expect(hosts.prepared(second), `seed ${seed}`).toMatchObject([{ remote: null }, { transport: 'udp' }])
      expect(hosts.prepared(second)[1]?.remote).toHaveLength(100)
      describeWire(second, hosts.prepared(second)[1]?.wire ?? 0)
      world.run(500)
      expect(hosts.begun).toEqual([hosts.prepared(first)[0]?.wire])
      expect([a.counts.negotiations, b.counts.negotiations]).toEqual([1, 1])
    }
  })

  it('of an offer that was not sent yet gives way to the one that comes', () => {
    const { net, a, b } = hidden([[UDP], [UDP]])
    b.callPeer(a.id)
    const hosts = handMade(net)
    net.world.run(4_000)
    describeWire(b, hosts.prepared(b)[0]?.wire ?? 0)
    net.world.run(500)
    expect(hosts.prepared(a)).toMatchObject([{ remote: null }, { remote: new Uint8Array(100) }])
    expect(hosts.hungUp).toEqual([hosts.prepared(a)[0]?.wire])
  })

  it('is over after its time at both ends, without a word', () => {
    const { net, a, b, hosts } = offered()
    const { messages } = net.world
    net.world.run(NEGOTIATION_TIMEOUT_MS)
    expect(net.world.messages - messages).toBeLessThanOrEqual(2)
    expect([a.counts.negotiations, b.counts.negotiations]).toEqual([0, 0])
    expect(hosts.hungUp).toHaveLength(2)
    expect(hosts.begun).toEqual([])
  })

  it('that fails at once is made anew soon, a few times', () => {
    const { net, a, b, hosts } = offered()
    for (let tries = 1; tries <= OFFERS_SOON_MAX + 1; tries += 1) {
      expect(hosts.prepared(b)).toHaveLength(tries)
      const wire = hosts.prepared(b).at(-1)?.wire ?? 0
      b.node.input({ kind: 'wire-closed', wire, fault: { code: 'dial-failed' } })
      net.world.run(300)
      expect([a.counts.negotiations, b.counts.negotiations]).toEqual([0, 0])
      net.world.run(OFFER_SOON_MS * 2 ** (tries - 1))
      const again = hosts.prepared(a)[tries]
      if (again !== undefined) describeWire(a, again.wire)
      net.world.run(300)
    }
    expect(hosts.prepared(a)).toHaveLength(OFFERS_SOON_MAX + 1)
    net.world.run(UPGRADE_BACKOFF_MS - 20_000)
    expect(hosts.prepared(a)).toHaveLength(OFFERS_SOON_MAX + 1)
  })

  it('that takes its time before it fails waits for its turn', () => {
    const { net, a, b, hosts } = offered()
    net.world.run(OFFER_FAILED_SOON_MS + 500)
    b.node.input({ kind: 'wire-closed', wire: hosts.prepared(b)[0]?.wire ?? 0, fault: { code: 'dial-failed' } })
    net.world.run(10_000)
    expect(hosts.prepared(a)).toHaveLength(1)
  })

  it('that the offering host gives up is withdrawn', () => {
    const { net, a, b, hosts } = offered()
    a.node.input({ kind: 'wire-closed', wire: hosts.prepared(a)[0]?.wire ?? 0, fault: { code: 'dial-failed' } })
    net.world.run(300)
    expect(b.counts.negotiations).toBe(0)
    expect(hosts.hungUp).toContain(hosts.prepared(b)[0]?.wire)
  })

  it('whose answer comes too late is withdrawn, and harms nothing', () => {
    const { net, a, b, hosts, session } = offered()
    net.world.run(NEGOTIATION_TIMEOUT_MS - 600)
    describeWire(b, hosts.prepared(b)[0]?.wire ?? 0)
    a.node.input({ kind: 'wire-closed', wire: hosts.prepared(a)[0]?.wire ?? 0, fault: { code: 'timeout' } })
    net.world.run(300)
    expect(hosts.begun).toEqual([])
    expect(b.counts.negotiations).toBe(0)
    expect(a.sessionWith(b)).toBe(session)
  })

  it('is not sent where the host describes its wire by too much', () => {
    const { net, a, b } = hidden([[UDP], [UDP]])
    const hosts = handMade(net)
    net.world.run(2_000)
    describeWire(a, hosts.prepared(a)[0]?.wire ?? 0, PATH_DESCRIPTION_BYTES_MAX + 1)
    net.world.run(500)
    expect(hosts.prepared(b)).toEqual([])
    expect(a.counts.negotiations).toBe(0)
    expect(transportTo(a, b)).toBe('circuit')
  })

  it('goes on where the path is lost meanwhile: the session takes the wire at once', () => {
    const { net, relay, a, b, hosts, session } = offered()
    const { world } = net
    describeWire(b, hosts.prepared(b)[0]?.wire ?? 0)
    world.run(300)
    relay.node.kill()
    world.run(300)
    expect(transportTo(a, b)).toBe('none')
    // What the machines would do now.
    openPair(net, { bare: a, wire: hosts.prepared(a)[0]?.wire }, { bare: b, wire: hosts.prepared(b)[0]?.wire })
    world.run(1_000)
    expect([transportTo(a, b), transportTo(b, a)]).toEqual(['udp', 'udp'])
    expect(a.sessionWith(b)).toBe(session)
  })

  it('ends with the session', () => {
    const { net, a, b, hosts, session } = offered()
    a.node.command({ kind: 'session-close', session, code: 'closed' })
    net.world.run(500)
    expect([a.counts.negotiations, b.counts.negotiations]).toEqual([0, 0])
    expect([a.counts.offerAccounts, b.counts.offerAccounts]).toEqual([0, 0])
    expect(hosts.hungUp).toHaveLength(2)
  })

  it('is one of a bounded number', () => {
    const net = bareNet(1)
    const relay = net.add()
    const a = net.add({ public: false, negotiates: [UDP] })
    link(a, relay)
    const others = Array.from({ length: NEGOTIATIONS_MAX + 4 }, () => net.add({ public: false, negotiates: [UDP] }))
    for (const other of others) {
      link(other, relay)
      a.routeTo(other, relay)
      other.routeTo(a, relay)
    }
    for (const other of others) other.callPeer(a.id)
    const hosts = handMade(net)
    for (let i = 0; i < 60; i += 1) {
      net.world.run(100)
      for (const other of others) describeWire(other, hosts.prepared(other).at(-1)?.wire ?? 0)
      expect(a.counts.negotiations).toBeLessThanOrEqual(NEGOTIATIONS_MAX)
    }
    expect(hosts.prepared(a).length).toBe(NEGOTIATIONS_MAX)
  })
})

describe('wires of a scarce transport', () => {
  const SCARCE: Negotiable = { transport: 'webrtc', scarce: true, encrypts: true }

  it('count as soon as an offer is answered, whatever comes of it', () => {
    for (const refused of [true, false]) {
      const { net, a, b } = hidden([[SCARCE], []])
      const hosts = handMade(net)
      const offer = encodePathMessage({
        kind: 'path-offer',
        id: 7,
        transport: 'webrtc',
        description: new Uint8Array(9),
      })
      // Within the time after which one more may be made.
      for (let i = 0; i < SCARCE_WIRES_BURST + 8; i += 1) {
        say(b, a, offer)
        net.world.run(100)
        const last = hosts.prepared(a).at(-1)
        if (refused) a.node.input({ kind: 'wire-closed', wire: last?.wire ?? 0, fault: { code: 'not-supported' } })
        else describeWire(a, last?.wire ?? 0)
        // Less often than what is refused for coming too often.
        net.world.run(8_000)
      }
      const answers = hosts.prepared(a).filter(({ remote }) => remote !== null).length
      expect(answers).toBeGreaterThanOrEqual(SCARCE_WIRES_BURST - 2)
      expect(answers).toBeLessThanOrEqual(SCARCE_WIRES_BURST)
    }
  })

  it('do not count where an offer was refused: what was prepared for it is used again', () => {
    const { net, relay, a } = hidden([[SCARCE], []])
    const hosts = handMade(net)
    const others = Array.from({ length: SCARCE_WIRES_BURST + 5 }, () => net.add({ public: false, negotiates: [] }))
    for (const other of others) {
      link(other, relay)
      a.routeTo(other, relay)
      const described = hosts.prepared(a).length
      a.callPeer(other.id)
      net.world.runUntil(() => hosts.prepared(a).length > described, 20_000, 50)
      describeWire(a, hosts.prepared(a).at(-1)?.wire ?? 0)
      net.world.run(1_000)
    }
    const offers = hosts.prepared(a).filter(({ remote }) => remote === null)
    expect(offers.length).toBeGreaterThanOrEqual(others.length)
  })
})

describe('bad words about paths', () => {
  it.each([
    ['a number that is none', Uint8Array.of(9, 0, 0, 0, 1)],
    ['bytes left over', Uint8Array.of(4, 0, 0, 0, 1, 0)],
    ['an offer cut short', Uint8Array.of(1, 0, 0, 0, 1, 0, 9, 1)],
  ])('end the session: %s', (_what, bytes) => {
    const { net, a, b } = hidden([[UDP], [UDP]])
    say(b, a, bytes)
    net.world.run(500)
    expect(a.peer.lost).toMatchObject([{ peer: b.id, fault: { code: 'malformed' } }])
  })

  it('end the session: a description over its bound', () => {
    const { net, a, b } = hidden([[UDP], [UDP]])
    const description = new Uint8Array(PATH_DESCRIPTION_BYTES_MAX + 1)
    say(b, a, encodePathMessage({ kind: 'path-offer', id: 1, transport: 'udp', description }))
    net.world.run(500)
    const { fault } = a.peer.lost[0] ?? {}
    expect(fault).toMatchObject({ code: 'message-too-large', got: description.length, limit: description.length - 1 })
  })

  it('end the session where answers to no offer come without end', () => {
    const { net, a, b, session } = hidden([[], []])
    const answer = encodePathMessage({ kind: 'path-answer', id: 7, description: new Uint8Array(10) })
    for (let i = 0; i < OFFERS_REFUSED_MAX; i += 1) say(b, a, answer)
    net.world.run(1_000)
    expect(a.sessionWith(b)).toBe(session)
    expect(a.counts.offersRefused).toBe(OFFERS_REFUSED_MAX)
    say(b, a, answer)
    net.world.run(1_000)
    expect(a.peer.lost).toMatchObject([{ peer: b.id, fault: { code: 'overloaded' } }])
  })

  it('harm no other session: its offer is answered by nobody else, and by its own peer once', () => {
    const net = bareNet(1)
    const relay = net.add()
    const [a, b, c] = [0, 1, 2].map(() => net.add({ public: false, negotiates: [UDP] })) as [Bare, Bare, Bare]
    for (const end of [a, b, c]) link(end, relay)
    for (const [from, to] of [
      [a, b],
      [b, a],
      [a, c],
      [c, a],
    ] as const)
      from.routeTo(to, relay)
    const hosts = handMade(net)
    const calls = [a.callPeer(b.id), a.callPeer(c.id)]
    net.world.runUntil(() => calls.every(call => call.answer() !== undefined), 2_000, 5)
    net.world.run(1_500)
    const wires = hosts.prepared(a).map(({ wire }) => wire)
    expect(wires).toHaveLength(2)
    for (const wire of wires) describeWire(a, wire)
    net.world.run(300)
    const description = new Uint8Array(10)
    // The offers are numbered 1 and 2: c answers both, and its own once more.
    for (const id of [1, 2, 2]) say(c, a, encodePathMessage({ kind: 'path-answer', id, description }))
    net.world.run(300)
    expect(hosts.begun).toHaveLength(1)
    expect(a.counts.offersRefused).toBe(2)
    expect([a.sessionWith(b), a.sessionWith(c)]).not.toContain(null)
  })

  it('make the host prepare no more than a few wires, however many offers come', () => {
    const { net, a, b } = hidden([[UDP], []])
    const hosts = handMade(net)
    const offer = encodePathMessage({ kind: 'path-offer', id: 7, transport: 'udp', description: new Uint8Array(10) })
    for (let i = 0; i < OFFERS_TAKEN_MAX + OFFERS_REFUSED_MAX; i += 1) say(b, a, offer)
    net.world.run(2_000)
    expect(hosts.prepared(a).filter(({ remote }) => remote !== null)).toHaveLength(OFFERS_TAKEN_MAX)
    expect(a.counts.negotiations).toBe(1)
    say(b, a, offer)
    net.world.run(1_000)
    expect(a.peer.lost).toMatchObject([{ peer: b.id, fault: { code: 'overloaded' } }])
  })

  it('harm nothing: refusals and withdrawals of what was never offered, a transport of a later version', () => {
    const { net, a, b, session } = hidden([[UDP], [UDP]])
    const hosts = handMade(net)
    say(b, a, encodePathMessage({ kind: 'path-refuse', id: 3, reason: 'busy' }))
    say(b, a, encodePathMessage({ kind: 'path-withdraw', id: 3 }))
    say(b, a, encodePathMessage({ kind: 'path-offer', id: 3, transport: null, description: new Uint8Array(0) }))
    net.world.run(500)
    expect(a.sessionWith(b)).toBe(session)
    expect(hosts.prepared(a)).toEqual([])
    expect(a.counts.offersRefused).toBe(1)
  })
})

describe('whatever happens', () => {
  it('both ends agree on the path in the end, streams hold what was sent, and nothing is left over', () => {
    const happening = fc.record({
      what: fc.constantFrom('call', 'call', 'cut', 'cut', 'close', 'kill relay', 'freeze', 'thaw', 'write', 'let go'),
      from: fc.nat(3),
      to: fc.nat(3),
      thenMs: fc.constantFrom(0, 20, 90, 400, 1_500, 2_500, 9_000, 35_000),
    })
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.array(happening, { minLength: 5, maxLength: 30 }), (seed, happenings) => {
        const net = bareNet(seed, [5, 40])
        const { world } = net
        const relays = [net.add(), net.add(), net.add()]
        const ends = [[UDP], [UDP], [UDP, WEBRTC], [WEBRTC]].map(negotiates => net.add({ public: false, negotiates }))
        for (const end of ends) {
          for (const relay of relays) end.call(relay)
          for (const other of ends) end.routeTo(other, ...relays)
        }
        world.run(1_000)
        const sent = pattern(3_000)
        for (const { what, from, to, thenMs } of happenings) {
          const [a, b, relay] = [ends[from]!, ends[to]!, relays[1 + (to % 2)]!]
          const session = a.sessionWith(b)
          if (what === 'call') a.callPeer(b.id)
          else if (what === 'cut') world.cut(a.node, b.node)
          else if (what === 'kill relay') relay.node.kill(from % 2 === 0)
          else if (what === 'freeze') world.freeze(a.node, to % 2 === 0)
          else if (what === 'thaw') world.thaw(a.node)
          else if (a.node.frozen || session === null) continue
          else if (what === 'let go') letGo(a, b)
          else if (what === 'close') a.node.command({ kind: 'session-close', session, code: 'closed' })
          else {
            const stream = a.openStream(session)
            a.node.command({ kind: 'stream-write', session, stream, chunks: [sent.slice()] })
            a.node.command({ kind: 'stream-end', session, stream })
          }
          world.run(thenMs)
        }
        for (const end of ends) world.thaw(end.node)
        world.run(60_000)
        const live = [...ends, ...relays].filter(({ node }) => node.alive)
        const isQuiet = (): boolean =>
          live.every(({ counts }) => {
            const { negotiations, attempts, asks, retired, unused, unprovenWires } = counts
            const underWay = negotiations + attempts + asks + retired + unused + unprovenWires
            return underWay === 0 && counts.wires + counts.circuitEnds === counts.sessions + counts.standbys
          })
        expect(world.runUntil(isQuiet, 300_000, 500), `seed ${seed}`).not.toBeNull()
        for (const a of live) {
          expect(a.counts.offerAccounts, `seed ${seed}`).toBeLessThanOrEqual(a.counts.sessions)
          for (const b of live) expect(transportTo(a, b), `seed ${seed}`).toBe(transportTo(b, a))
        }
        for (const end of ends)
          for (const chunks of end.received.values())
            expect(Buffer.compare(Buffer.concat(chunks), sent.subarray(0, Buffer.concat(chunks).length))).toBe(0)
      }),
      { numRuns: 40 },
    )
  })
})

interface MadeEnd {
  readonly bare: Bare
  readonly wire: WireId | undefined
}

/** Two ends of one wire, as machines make them. */
function openPair(net: BareNet, dialler: MadeEnd, acceptor: MadeEnd): void {
  const { world } = net
  const made = ({ bare, wire = 0 }: MadeEnd): WireEnd => new WireEnd(bare.node, wire, 30, bare.node, world.now, true)
  const here = made(dialler)
  const there = made(acceptor)
  here.other = there
  there.other = here
  acceptor.bare.node.takeWire(there, 'acceptor', 'udp', dialler.bare.node.address)
  dialler.bare.node.takeWire(here, 'dialler', 'udp', acceptor.bare.node.address)
}
