/** Probing through modelled NATs, in a time of its own; the real ones are in `test/natlab`. */
import { describe, expect, it } from 'vitest'
import { Rng } from '../../core/base/rng.ts'
import { Allowance } from './allowance.ts'
import { decodeProbe, encodeProbe, PUNCH_TICK_MS, Punch, withoutBadPlaces } from './punch.ts'
import {
  CANDIDATES_MAX,
  type NatMapping,
  type PunchDescription,
  readPunchDescription,
  writePunchDescription,
} from './punch-description.ts'
import type { SocketAddress } from './stun.ts'

type NatKind = 'none' | 'full cone' | 'address-restricted' | 'port-restricted' | 'symmetric'

const DELAY_MS = 40
const PATIENCE_MS = 8_000
const text = ({ host, port }: SocketAddress): string => `${host} ${port}`

/** One side: its sockets, the ports that its NAT gave them, and whom it lets in there. */
class Side {
  readonly host: string
  punch: Punch<number> | null = null
  found: { readonly socket: number; readonly at: SocketAddress } | null = null
  sent = 0
  private readonly kind: NatKind
  private readonly rng: Rng
  private readonly ports = new Map<string, number>()
  private readonly holes = new Map<number, { readonly socket: number; readonly met: Set<string> }>()
  sockets = 1

  constructor(host: string, kind: NatKind, rng: Rng) {
    this.host = host
    this.kind = kind
    this.rng = rng
  }

  get mapping(): NatMapping {
    return this.kind === 'symmetric' ? 'dependent' : 'independent'
  }

  /** The port as the destination sees it; from now on the NAT lets in whom it knows. */
  out(socket: number, to: SocketAddress): number {
    const key = this.kind === 'symmetric' ? `${socket} ${text(to)}` : `${socket}`
    const port = this.ports.get(key) ?? 1_024 + this.rng.below(64_512)
    this.ports.set(key, port)
    const hole = this.holes.get(port) ?? { socket, met: new Set<string>() }
    this.holes.set(port, hole)
    hole.met.add(text(to))
    hole.met.add(to.host)
    return port
  }

  /** The socket that gets what comes from there at a port, or null. */
  in(port: number, from: SocketAddress): number | null {
    const hole = this.holes.get(port)
    if (hole === undefined) return null
    if (this.kind === 'none' || this.kind === 'full cone') return hole.socket
    return hole.met.has(this.kind === 'address-restricted' ? from.host : text(from)) ? hole.socket : null
  }
}

function run(
  kinds: readonly [NatKind, NatKind],
  seed: number,
): { readonly tookMs: number | null; readonly sides: readonly Side[] } {
  const rng = new Rng(seed)
  const sides = [new Side('192.0.2.1', kinds[0], rng), new Side('198.51.100.1', kinds[1], rng)] as const
  const flying: { at: number; run: () => void }[] = []
  let now = 0
  const helper = { host: '203.0.113.1', port: 3_478 }
  const descriptions = sides.map((side, i): PunchDescription => {
    const port = side.out(0, helper)
    const candidates = [{ kind: 'reflexive' as const, host: side.host, port }]
    return { token: new Uint8Array(16).fill(i + 1), stream: i + 1, mapping: side.mapping, candidates }
  })
  for (const [i, side] of sides.entries()) {
    const other = sides[1 - i]!
    side.punch = new Punch<number>(descriptions[i]!, descriptions[1 - i]!, i === 0, 0, {
      socketFor: () => 0,
      openSocket: () => side.sockets++,
      draw: below => rng.below(below),
      mayGuess: () => true,
      onFound: (socket, at) => {
        side.found = { socket, at }
      },
      send: (socket, bytes, to) => {
        side.sent += 1
        const from = { host: side.host, port: side.out(socket, to) }
        flying.push({
          at: now + DELAY_MS,
          run: () => {
            const met = to.host === other.host ? other.in(to.port, from) : null
            const probe = decodeProbe(bytes)
            if (met !== null && probe !== null) other.punch?.onProbe(probe.kind, met, from)
          },
        })
      },
    })
  }
  while (now < PATIENCE_MS && !sides.every(side => side.found !== null)) {
    for (const side of sides) side.punch?.tick(now)
    now += PUNCH_TICK_MS
    for (const { run: arrive } of flying.splice(0).filter(item => item.at <= now || !flying.push(item))) arrive()
  }
  return { tookMs: sides.every(side => side.found !== null) ? now : null, sides }
}

describe('punching', () => {
  const EASY: readonly NatKind[] = ['none', 'full cone', 'address-restricted', 'port-restricted']
  const pairs: (readonly [NatKind, NatKind])[] = EASY.flatMap(one => EASY.map(other => [one, other] as const))
  for (const kind of ['none', 'full cone', 'address-restricted'] as const)
    pairs.push(['symmetric', kind], [kind, 'symmetric'])

  it.each(pairs)('%s to %s: finds a way within a second', (...kinds) => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const { tookMs, sides } = run(kinds, seed)
      expect(tookMs, `seed ${seed}`).not.toBeNull()
      expect(tookMs, `seed ${seed}`).toBeLessThanOrEqual(1_000)
      for (const side of sides) expect(side.sent).toBeLessThan(100)
    }
  })

  it.each([
    ['symmetric', 'port-restricted'],
    ['port-restricted', 'symmetric'],
  ] as const)('%s to %s: guesses a way in nine of ten tries at least, with bounded probes', (...kinds) => {
    const took = Array.from({ length: 40 }, (_, seed) => run(kinds, seed))
    expect(took.filter(({ tookMs }) => tookMs !== null).length).toBeGreaterThanOrEqual(36)
    for (const { sides } of took) for (const side of sides) expect(side.sent).toBeLessThan(3_000)
  })

  it('symmetric to symmetric: gives up', () => {
    expect(run(['symmetric', 'symmetric'], 1).tookMs).toBeNull()
  })

  it('both ends agree on the way', () => {
    const { sides } = run(['port-restricted', 'full cone'], 3)
    const [one, other] = sides as readonly [Side, Side]
    expect(one.in(other.found!.at.port, { host: other.host, port: one.found!.at.port })).toBe(one.found!.socket)
  })

  it.each([
    ['as it is told', 'independent', 0],
    ['that seems to be behind a NAT of many ports', 'dependent', 500],
  ] as const)('sends to a third party, %s, no more than bounds allow', (_what, mapping, guesses) => {
    const sent: SocketAddress[] = []
    let guessesLeft = guesses
    const candidates = Array.from({ length: CANDIDATES_MAX }, (_, i) => ({
      kind: 'reflexive' as const,
      host: '203.0.113.9',
      port: 1 + i,
    }))
    const own = { token: new Uint8Array(16), stream: 1, mapping: 'independent' as const, candidates: [] }
    const punch = new Punch<number>(own, { ...own, mapping, candidates }, true, 0, {
      socketFor: () => 0,
      openSocket: () => null,
      draw: () => 7,
      mayGuess: () => guessesLeft-- > 0,
      send: (_socket, bytes, to) => {
        expect(bytes.length).toBeLessThanOrEqual(21)
        sent.push(to)
      },
      onFound: () => {},
    })
    for (let now = 0; now <= PATIENCE_MS; now += PUNCH_TICK_MS) punch.tick(now)
    // Five times a second to each of the places, and what the whole process may guess.
    expect(sent.length).toBeLessThanOrEqual(CANDIDATES_MAX * (PATIENCE_MS / 200 + 1) + guesses)
  })

  it('answers nobody more than bounds allow, whoever asks', () => {
    const sent: SocketAddress[] = []
    const own = { token: new Uint8Array(16), stream: 1, mapping: 'independent' as const, candidates: [] }
    const punch = new Punch<number>(own, own, false, 0, {
      socketFor: () => 0,
      openSocket: () => null,
      draw: () => 0,
      mayGuess: () => true,
      send: (_socket, _bytes, to) => sent.push(to),
      onFound: () => {},
    })
    for (let port = 1; port <= 1_000; port += 1) punch.onProbe('ask', 0, { host: '192.0.2.1', port })
    sent.length = 0
    punch.tick(200)
    // Places that are asked again: few of those that came.
    expect(sent.length).toBeLessThanOrEqual(16)
  })
})

it('an allowance is so much in each stretch of time, however it is asked', () => {
  const allowance = new Allowance(3, 1_000)
  const taken = (now: number): number => Array.from({ length: 10 }, () => allowance.take(now)).filter(Boolean).length
  expect([taken(5), taken(1_004), taken(1_005), taken(90_000)]).toEqual([3, 0, 3, 3])
})

describe('what is told for punching', () => {
  const description: PunchDescription = {
    token: Uint8Array.from({ length: 16 }, (_, i) => i),
    stream: 0xffff_ffff,
    mapping: 'dependent',
    candidates: [
      { kind: 'host', host: '10.0.0.2', port: 1 },
      { kind: 'reflexive', host: '2001:db8:0:0:0:0:0:1', port: 65_535 },
    ],
  }

  it('is read as it was written', () => {
    const bytes = writePunchDescription(description)
    expect(readPunchDescription(bytes)).toEqual(description)
    for (let length = 0; length < bytes.length; length += 1)
      expect(readPunchDescription(bytes.subarray(0, length))).toBeNull()
    expect(readPunchDescription(Uint8Array.of(...bytes, 0))).toBeNull()
  })

  it('names twelve places at most, and loopback is not probed for a stranger', () => {
    const many = Array.from({ length: 40 }, (_, i) => ({ kind: 'host' as const, host: '127.0.0.1', port: 1 + i }))
    const read = readPunchDescription(writePunchDescription({ ...description, candidates: many }))
    expect(read?.candidates).toHaveLength(CANDIDATES_MAX)
    expect(withoutBadPlaces(read!, false).candidates).toEqual([])
    expect(withoutBadPlaces(read!, true).candidates).toHaveLength(CANDIDATES_MAX)
  })

  it('probes are 21 bytes that nothing else on the socket looks like', () => {
    const probe = encodeProbe('choose', description.token)
    expect(probe).toHaveLength(21)
    expect(decodeProbe(probe)).toEqual({ kind: 'choose', token: description.token })
    expect(decodeProbe(probe.subarray(1))).toBeNull()
    expect(decodeProbe(probe.map((byte, i) => (i === 4 ? 9 : byte)))).toBeNull()
  })
})
