/** Requests on their way to the peer closest to a key, among peers that die, lie and are full (spec 5.5). */
import { describe, expect, it } from 'vitest'
import type { Result } from '../base/fault.ts'
import type { Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { ROUTED_PAYLOAD_BYTES_MAX, ROUTED_PENDING_MAX, ROUTED_PER_NEIGHBOUR_MAX } from '../limits.ts'
import { Turn } from '../turn.ts'
import type { OverlayMessage } from './overlay-messages.ts'
import { RoutedRequests } from './routed-requests.ts'

const DELAY_MS = 50

const NO_LINKS = { send: () => false, nextHopToKey: () => null, linkCloserThan: () => null, isCloser: () => false }

function wayOf(next: readonly number[], avoid: readonly PeerId[]): PeerId | null {
  const way = next.find(peer => !avoid.includes(id(peer)))
  return way === undefined ? null : id(way)
}

/** Peers 0, 1, 2 …; each passes on to the first of its ways that may still be asked, the one without any answers. */
class Line {
  now: Instant = 0
  readonly parts: RoutedRequests[] = []
  readonly dead = new Set<number>()
  readonly messages: string[] = []
  answersOf: (index: number) => Uint8Array | null = index => Uint8Array.of(index)
  private flying: { at: Instant; from: number; to: number; message: OverlayMessage }[] = []

  constructor(ways: readonly (readonly number[])[]) {
    for (const [index, next] of ways.entries()) {
      this.parts.push(
        new RoutedRequests({
          send: (_turn, to, message) => {
            this.messages.push(`${index} ${to} ${message.kind}`)
            this.flying.push({ at: this.now + DELAY_MS, from: index, to: Number(to), message })
            return true
          },
          nextHopToKey: (_key, _method, avoid) => wayOf(next, avoid),
          linkCloserThan: (_peer, _key, _method, avoid) => wayOf(next, avoid),
          isCloser: () => false,
          answer: () => this.answersOf(index),
        }),
      )
    }
  }

  part(index: number): RoutedRequests {
    const part = this.parts[index]
    if (part === undefined) throw new Error(`no peer ${index}`)
    return part
  }

  ask(from: number, via: number | null = null): Result<Uint8Array>[] {
    const answers: Result<Uint8Array>[] = []
    const onAnswer = (_turn: Turn, answer: Result<Uint8Array>): void => {
      answers.push(answer)
    }
    const over = via === null ? null : id(via)
    this.part(from).request(this.turn(), 1, 1, new Uint8Array(3), onAnswer, over)
    return answers
  }

  turn(): Turn {
    return new Turn(this.now, 0)
  }

  run(ms: number): void {
    const end = this.now + ms
    for (;;) {
      const living = this.parts.filter((_part, index) => !this.dead.has(index))
      const wakes = living.map(part => part.nextWake() ?? Number.POSITIVE_INFINITY)
      const at = Math.min(...this.flying.map(item => item.at), ...wakes)
      if (at > end) break
      this.now = Math.max(this.now, at)
      const due = this.flying.findIndex(item => item.at <= this.now)
      const [item] = due < 0 ? [] : this.flying.splice(due, 1)
      if (item === undefined) for (const part of living) part.onWake(this.turn())
      else if (!this.dead.has(item.to)) this.deliver(item.from, item.to, item.message)
    }
    this.now = end
  }

  private deliver(from: number, to: number, message: OverlayMessage): void {
    if (message.kind === 'route') this.part(to).onRoute(this.turn(), id(from), message)
    if (message.kind === 'route-answer') this.part(to).onRouteAnswer(this.turn(), id(from), message)
  }
}

function id(index: number): PeerId {
  // reason: any text that differs serves as an id.
  return `${index}` as PeerId
}

function expectEmpty(line: Line): void {
  for (const [index, part] of line.parts.entries()) if (!line.dead.has(index)) expect(part.size).toBe(0)
}

describe('a routed request', () => {
  it('goes to the closest and its answer comes back the same way', () => {
    const line = new Line([[1], [2], [3], []])
    const answers = line.ask(0)
    line.run(1_000)
    expect(answers).toEqual([{ ok: true, value: Uint8Array.of(3) }])
    expect(line.messages).toHaveLength(6)
    expectEmpty(line)
  })

  it('is answered at once by the one that asks, where that is the closest', () => {
    const line = new Line([[]])
    expect(line.ask(0)).toEqual([{ ok: true, value: Uint8Array.of(0) }])
    expectEmpty(line)
  })

  it('by way of a neighbour goes there first, whatever the ring says, and elsewhere where there is no session with it', () => {
    const line = new Line([[], [2], []])
    const answers = line.ask(0, 1)
    line.run(1_000)
    expect(answers).toEqual([{ ok: true, value: Uint8Array.of(2) }])
    const alone = new RoutedRequests({ ...NO_LINKS, answer: () => Uint8Array.of(9) })
    const own: Result<Uint8Array>[] = []
    alone.request(line.turn(), 1, 1, new Uint8Array(0), (_turn, answer) => own.push(answer), id(1))
    expect(own).toEqual([{ ok: true, value: Uint8Array.of(9) }])
  })

  it('goes round a hop that is lost while it holds the request', () => {
    const line = new Line([[1], [2, 3], [], []])
    const answers = line.ask(0)
    line.dead.add(2)
    line.run(75)
    line.part(1).onNeighbourLost(line.turn(), id(2))
    line.run(1_000)
    expect(answers).toEqual([{ ok: true, value: Uint8Array.of(3) }])
    expectEmpty(line)
  })

  it('goes round a hop that is dead though nobody knows yet, in the time that it has', () => {
    for (let deep = 1; deep <= 5; deep += 1) {
      // A chain; the one at its end has a dead way and a good one.
      const ways = Array.from({ length: deep }, (_, i) => [i + 1])
      ways[deep - 1] = [deep, deep + 1]
      const line = new Line([...ways, [], []])
      line.dead.add(deep)
      const answers = line.ask(0)
      line.run(9_900)
      expect(answers, `dead after ${deep} hops`).toEqual([{ ok: true, value: Uint8Array.of(deep + 1) }])
      line.run(5_000)
      expectEmpty(line)
    }
  })

  it('fails once, in time, where all ways are dead', () => {
    const line = new Line([[1, 2], [], []])
    line.dead.add(1)
    line.dead.add(2)
    const answers = line.ask(0)
    line.run(10_000)
    expect(answers).toEqual([{ ok: false, fault: { code: 'timeout', detail: 'routed request' } }])
    expectEmpty(line)
  })

  it('that runs in circles ends by its count of hops, and is answered', () => {
    const line = new Line([[1], [2], [0], []])
    const answers = line.ask(0)
    line.run(30_000)
    expect(answers).toHaveLength(1)
    expect(line.messages.length).toBeLessThan(400)
    expectEmpty(line)
  })

  it('that shares its ways with others takes another first hop than they, and theirs where there is no other', () => {
    const line = new Line([[1, 2, 3], [], [], []])
    const ways: PeerId[] = []
    const answers: Result<Uint8Array>[] = []
    for (let i = 0; i < 4; i += 1) {
      const onAnswer = (_turn: Turn, answer: Result<Uint8Array>): void => {
        answers.push(answer)
      }
      line.part(0).request(line.turn(), 1, 1, new Uint8Array(0), onAnswer, null, ways)
      line.run(1_000)
    }
    expect(answers.map(answer => answer.ok && answer.value[0])).toEqual([1, 2, 3, 1])
    expect(ways).toEqual([1, 2, 3, 1].map(id))
  })

  it('goes by where links stand, not by what they claim, every second time', () => {
    const sent: PeerId[] = []
    const requests = new RoutedRequests({
      send: (_turn, to) => sent.push(to) > 0,
      nextHopToKey: (_key, _method, avoid) => wayOf([1, 2, 3], avoid),
      linkCloserThan: (_peer, _key, _method, avoid) => wayOf([3, 2], avoid),
      isCloser: () => false,
      answer: () => null,
    })
    const ways: PeerId[] = []
    for (let i = 0; i < 3; i += 1) requests.request(new Turn(0, 0), 1, 1, new Uint8Array(0), () => {}, null, ways)
    expect(sent).toEqual([1, 3, 2].map(id))
  })

  it('avoids a hop that swallowed others before it, but uses it where it is the only one', () => {
    const line = new Line([[1, 2], [], []])
    line.dead.add(1)
    line.ask(0)
    line.run(11_000)
    line.messages.length = 0
    const answers = line.ask(0)
    line.run(1_000)
    expect(answers).toEqual([{ ok: true, value: Uint8Array.of(2) }])
    expect(line.messages[0]).toBe('0 2 route')
    const alone = new Line([[1], []])
    alone.dead.add(1)
    alone.ask(0)
    alone.run(11_000)
    alone.dead.delete(1)
    const others = alone.ask(0)
    alone.run(1_000)
    expect(others).toEqual([{ ok: true, value: Uint8Array.of(1) }])
  })

  it('that the closest has no answer to is refused', () => {
    const line = new Line([[1], []])
    line.answersOf = () => null
    const answers = line.ask(0)
    line.run(1_000)
    expect(answers).toEqual([{ ok: false, fault: { code: 'refused' } }])
  })

  it('is refused where the answer is longer than what any peer takes', () => {
    const line = new Line([[1], []])
    line.answersOf = () => new Uint8Array(ROUTED_PAYLOAD_BYTES_MAX)
    const answers = line.ask(0)
    line.run(1_000)
    expect(answers).toMatchObject([{ ok: true }])
    line.answersOf = () => new Uint8Array(ROUTED_PAYLOAD_BYTES_MAX + 1)
    const others = line.ask(0)
    line.run(1_000)
    expect(others).toEqual([{ ok: false, fault: { code: 'refused' } }])
  })

  it('of too many bytes, and one too many, is not sent', () => {
    const line = new Line([[1], []])
    const answers: Result<Uint8Array>[] = []
    const onAnswer = (_turn: Turn, answer: Result<Uint8Array>): void => {
      answers.push(answer)
    }
    line.part(0).request(line.turn(), 1, 1, new Uint8Array(ROUTED_PAYLOAD_BYTES_MAX + 1), onAnswer)
    for (let i = 0; i <= ROUTED_PENDING_MAX; i += 1) line.ask(0)
    line.part(0).request(line.turn(), 1, 1, new Uint8Array(0), onAnswer)
    expect(answers).toMatchObject([{ fault: { code: 'message-too-large' } }, { fault: { code: 'overloaded' } }])
  })

  it('of a neighbour that sends without end is refused beyond its share, and others still get through', () => {
    const sent: string[] = []
    const part = new RoutedRequests({
      send: (_turn, to, message) => {
        sent.push(`${to} ${message.kind === 'route-answer' ? message.status : message.kind}`)
        return true
      },
      nextHopToKey: () => id(9),
      linkCloserThan: () => id(9),
      isCloser: () => false,
      answer: () => null,
    })
    const turn = new Turn(0, 0)
    const payload = new Uint8Array(0)
    for (let i = 0; i < 2 * ROUTED_PER_NEIGHBOUR_MAX; i += 1)
      part.onRoute(turn, id(1), { kind: 'route', id: i, key: 1, method: 1, ttl: 9, payload })
    expect(part.size).toBe(ROUTED_PER_NEIGHBOUR_MAX)
    expect(sent.at(-1)).toBe('1 no-way-on')
    part.onRoute(turn, id(2), { kind: 'route', id: 1, key: 1, method: 1, ttl: 9, payload })
    expect(sent.at(-1)).toBe('9 route')
    part.onNeighbourLost(turn, id(1))
    expect(part.size).toBe(1)
  })

  it('is not answered by one that was never asked', () => {
    const line = new Line([[1], [], []])
    const answers = line.ask(0)
    const lie = { kind: 'route-answer', id: 2, status: 'answered', hops: 0, payload: Uint8Array.of(66) } as const
    for (let i = 0; i < 10; i += 1) line.part(0).onRouteAnswer(line.turn(), id(2), { ...lie, id: i })
    line.run(1_000)
    expect(answers).toEqual([{ ok: true, value: Uint8Array.of(1) }])
  })

  it('may be made from within the answer to another', () => {
    const line = new Line([[1], []])
    const answers: number[] = []
    const again = (turn: Turn): void => {
      answers.push(turn.now)
      if (answers.length < 5) line.part(0).request(turn, 1, 1, new Uint8Array(0), again)
    }
    line.part(0).request(line.turn(), 1, 1, new Uint8Array(0), again)
    line.run(2_000)
    expect(answers).toEqual([100, 200, 300, 400, 500])
    expectEmpty(line)
  })
})
