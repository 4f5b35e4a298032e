/** A session that one side needs no more, while the other is just beginning to use it (spec 5.10). */
import { describe, expect, it } from 'vitest'
import { FAREWELL_MS, SESSION_LINGER_MS } from '../limits.ts'
import { type Bare, type BareNet, bareNet, link } from './bare-peer.fixtures.ts'

const HELLO = Uint8Array.of(1, 2, 3)

function linked(): { readonly net: BareNet; readonly a: Bare; readonly b: Bare; readonly session: number } {
  const net = bareNet(1)
  const [a, b] = [net.add(), net.add()]
  link(a, b)
  const session = a.sessionWith(b)
  if (session === null) throw new Error('linked')
  return { net, a, b, session }
}

function release(bare: Bare, session: number): void {
  bare.node.command({ kind: 'session-release', session })
}

/** Opens a stream, and writes three bytes on it. */
function talk(from: Bare, to: Bare): number {
  const session = from.sessionWith(to)
  if (session === null) throw new Error('no session')
  const stream = from.openStream(session)
  from.node.command({ kind: 'stream-write', session, stream, chunks: [HELLO] })
  return stream
}

function failures(bare: Bare): number {
  return bare.node.events.filter(event => event.kind === 'stream-failed' || event.kind === 'session-closed').length
}

describe('a session that one side needs no more', () => {
  it('ends on both sides where neither needs it', () => {
    const { net, a, b, session } = linked()
    release(a, session)
    net.world.run(1_000)
    expect([a.counts.contacts, b.counts.contacts, a.counts.farewells, a.counts.wires]).toEqual([0, 0, 0, 0])
    expect(a.node.events).toContainEqual(expect.objectContaining({ kind: 'session-closed', session }))
  })

  it('stays with the stream that the other side was opening, whenever that was', () => {
    for (let ms = -100; ms <= 120; ms += 5) {
      const { net, a, b, session } = linked()
      const { world } = net
      let stream = -1
      if (ms <= 0) {
        stream = talk(b, a)
        world.run(-ms)
        release(a, session)
      } else {
        release(a, session)
        world.run(ms)
        // Once it has heard of the end it opens another session.
        if (b.sessionWith(a) === null) link(b, a)
        stream = talk(b, a)
      }
      world.run(2_000)
      expect([...a.bytesOn(stream)], `${ms} ms`).toEqual([...HELLO])
      expect(b.node.events.filter(event => event.kind === 'stream-failed')).toEqual([])
      // Bytes flow back as well.
      const here = a.sessionWith(b)
      if (here === null) throw new Error('gone')
      a.node.command({ kind: 'stream-write', session: here, stream, chunks: [HELLO] })
      world.run(1_000)
      expect([...b.bytesOn(stream)], `${ms} ms`).toEqual([...HELLO])
      expect(a.counts.farewells).toBe(0)
    }
  })

  it('stays while a user holds it on the other side', () => {
    const { net, a, b, session } = linked()
    const held = b.call(a)
    net.world.run(500)
    expect(held.answer()).toMatchObject({ kind: 'connected' })
    release(a, session)
    net.world.run(2 * FAREWELL_MS)
    expect([a.sessionWith(b), failures(a), failures(b), a.counts.farewells]).toEqual([session, 0, 0, 0])
  })

  it('is opened anew for who wants the peer again before the other side has answered', () => {
    for (let ms = 0; ms <= 120; ms += 10) {
      const { net, a, b, session } = linked()
      release(a, session)
      net.world.run(ms)
      const again = a.call(b)
      net.world.run(1_000)
      expect(again.answer(), `${ms} ms`).toMatchObject({ kind: 'connected' })
      const stream = talk(a, b)
      net.world.run(1_000)
      expect([...b.bytesOn(stream)], `${ms} ms`).toEqual([...HELLO])
      expect([failures(a), a.counts.farewells, a.counts.sessions, b.counts.sessions]).toEqual([1, 0, 1, 1])
    }
  })

  it('ends where the other side never answers, and who waits for the peer is told', () => {
    const { net, a, b, session } = linked()
    b.node.freeze(false)
    release(a, session)
    const again = a.call(b)
    net.world.run(FAREWELL_MS + 500)
    expect(a.sessionWith(b)).toBeNull()
    net.world.run(30_000)
    expect(again.answer()).toMatchObject({ kind: 'failed' })
    expect([a.counts.farewells, a.counts.attempts, a.counts.contacts]).toEqual([0, 0, 0])
  })

  it('ends with its path', () => {
    const { net, a, b, session } = linked()
    b.node.freeze(false)
    release(a, session)
    for (const end of a.node.openWires()) end.lose('wire-lost')
    net.world.run(100)
    expect([a.sessionWith(b), a.counts.farewells, a.counts.attempts]).toEqual([null, 0, 0])
  })

  it('ends at once where its user closes it', () => {
    const { net, a, b, session } = linked()
    const stream = talk(b, a)
    net.world.run(500)
    a.node.command({ kind: 'session-close', session, code: 'closed' })
    expect(a.sessionWith(b)).toBeNull()
    net.world.run(500)
    expect(b.node.events).toContainEqual(expect.objectContaining({ kind: 'stream-failed', stream }))
  })

  it('ends by itself after a silence that the other side would have broken', () => {
    const { net, a, b } = linked()
    a.node.command({ kind: 'session-close', session: a.sessionWith(b) ?? 0, code: 'closed' })
    net.world.run(500)
    // Both are left with a session that neither holds.
    link(a, b)
    const session = a.sessionWith(b)
    if (session === null) throw new Error('linked')
    b.call(a)
    net.world.run(500)
    release(a, session)
    net.world.run(500)
    release(b, b.sessionWith(a) ?? 0)
    net.world.run(SESSION_LINGER_MS + FAREWELL_MS)
    expect([a.counts.contacts, b.counts.contacts, a.counts.wires, b.counts.wires]).toEqual([0, 0, 0, 0])
  })
})
