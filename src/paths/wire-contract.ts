/**
 * What every transport must do, as tests: one that is dialled calls `wireContract` with its bench, one that is negotiated
 * `negotiatedContract`.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Address } from '../core/base/address.ts'
import { concatBytes, equalBytes, readU32, writeU32 } from '../core/base/bytes.ts'
import type { Fault } from '../core/base/fault.ts'
import { Rng } from '../core/base/rng.ts'
import type { WireFacts } from '../core/input.ts'
import { FRAME_BYTES_MAX } from '../core/limits.ts'
import type { NegotiatedSink, Negotiator } from './negotiator.ts'
import type { Acceptor, Wire, WireDriver, WireSink } from './wire-driver.ts'

export interface WireBench {
  driver(dialTimeoutMs?: number): WireDriver
  listen(accept: Acceptor): Promise<Place>
  /** Where nothing listens. */
  closedPlace(): Promise<Address>
  /** Nobody says that nothing listens there: a dial waits for its time-out. */
  readonly closedIsSilent?: boolean
  /** Where a dial is not answered, yes or no. */
  silentPlace(): Promise<Place>
  /** Opens the transport below the frames and sends bytes that may be no frames; resolves when the other end closed it. */
  sendRaw(address: Address, bytes: Uint8Array, then: 'wait' | 'end'): Promise<void>
}

export interface Place {
  readonly address: Address
  close(): Promise<void>
}

export function wireContract(name: string, bench: WireBench): void {
  describe(`${name} wires`, () => {
    let place: Place
    let accepted: WireEndOfTest[] = []
    let onAccepted: ((end: WireEndOfTest) => void) | null = null

    beforeAll(async () => {
      place = await bench.listen(wire => {
        const end = new WireEndOfTest()
        end.wire = wire
        accepted.push(end)
        onAccepted?.(end)
        onAccepted = null
        return end
      })
    })
    afterAll(async () => {
      for (const end of accepted) end.wire?.hangUp()
      await place.close()
    })

    function nextAccepted(): Promise<WireEndOfTest> {
      return new Promise(resolve => {
        onAccepted = resolve
      })
    }

    async function pair(): Promise<[WireEndOfTest, WireEndOfTest]> {
      const coming = nextAccepted()
      const dialler = dial(bench.driver(), place.address)
      // An acceptor may know that it has a wire only by its first bytes.
      const greeting = dialler.send(frameOf(Uint8Array.of(0)))
      const failed = dialler.closed.then(fault => {
        throw new Error(`no wire: ${fault.code} ${fault.detail ?? ''}`)
      })
      const acceptor = await Promise.race([coming, failed])
      await Promise.all([dialler.opened, acceptor.opened, acceptor.received(1)])
      await until(() => dialler.written === greeting)
      acceptor.frames.length = 0
      return [dialler, acceptor]
    }

    openWireContract(pair)

    it('fails a dial to where nothing listens', async () => {
      const isSilent = bench.closedIsSilent === true
      const end = dial(bench.driver(isSilent ? 300 : undefined), await bench.closedPlace())
      expect((await end.closed).code).toBe(isSilent ? 'dial-timeout' : 'dial-failed')
      expect(end.closes).toBe(1)
    })

    it('gives up a dial that is not answered', async () => {
      const silent = await bench.silentPlace()
      const end = dial(bench.driver(200), silent.address)
      expect(await end.closed).toMatchObject({ code: 'dial-timeout', limit: 200 })
      await silent.close()
    })

    it('can be hung up while it is dialled', async () => {
      const end = dial(bench.driver(), place.address)
      end.hangUp()
      expect((await end.closed).code).toBe('closed')
      expect(end.calledInside).toBe(false)
    })

    it.each([
      ['oversized', lengthOf(FRAME_BYTES_MAX + 1), 'wait', 'frame-too-large'],
      ['shorter than a label', lengthOf(3), 'wait', 'malformed'],
      ['cut short', frameOf(new Uint8Array(50)).subarray(0, 30), 'end', 'malformed'],
    ] as const)('closes only the wire over which a frame comes that is %s', async (_, bytes, then, code) => {
      const [dialler, acceptor] = await pair()
      const coming = nextAccepted()
      const good = frameOf(Uint8Array.of(1, 2, 3))
      const raw = bench.sendRaw(place.address, concatBytes(good, bytes), then)
      const victim = await coming
      expect((await victim.closed).code).toBe(code)
      await raw
      expect(victim.frames).toHaveLength(1)
      dialler.send(good)
      await acceptor.received(1)
      dialler.wire?.hangUp()
      await acceptor.closed
      accepted = accepted.filter(end => end.closes === 0)
    })
  })
}

/** What holds of two ends however they were opened. */
export function openWireContract(pair: () => Promise<[WireEndOfTest, WireEndOfTest]>): void {
  it('says who is at the other end', async () => {
    const [dialler, acceptor] = await pair()
    for (const end of [dialler, acceptor]) {
      const about = await end.opened
      expect(about.remoteHost).toMatch(/^(127\.0\.0\.1|::1|localhost)$/)
      expect(about.remote).toMatch(/:\d+$/)
    }
    dialler.wire?.hangUp()
    await acceptor.closed
  })

  it('carries frames of all sizes both ways, whole and in order, each sent byte reported written once', async () => {
    const seed = 20261122
    const rng = new Rng(seed)
    const [dialler, acceptor] = await pair()
    const bodies = Array.from({ length: 120 }, (_, i) => {
      const length = i % 4 === 0 ? rng.below(FRAME_BYTES_MAX - 3) : rng.below(300)
      return new Uint8Array(length).fill(rng.u32())
    })
    for (const [from, to] of [
      [dialler, acceptor],
      [acceptor, dialler],
    ] as const) {
      const before = from.written
      let sent = 0
      for (let at = 0; at < bodies.length; ) {
        // Lists of buffers as the core makes them: several frames, each cut into a header and the rest.
        const buffers: Uint8Array[] = []
        for (let n = 1 + rng.below(5); n > 0 && at < bodies.length; n -= 1) {
          const frame = frameOf(bodies[at++]!)
          buffers.push(frame.subarray(0, 8), frame.subarray(8))
        }
        sent += from.send(...buffers)
        if (rng.below(3) === 0) await turn()
      }
      await to.received(bodies.length)
      await until(
        () => from.written - before >= sent,
        () => `${from.written - before} of ${sent} bytes are written, closed ${from.closes} times`,
      )
      expect(from.written - before, `seed ${seed}`).toBe(sent)
      expect(to.frames.every((frame, i) => equalBytes(frame.subarray(8), bodies[i]!))).toBe(true)
    }
    dialler.wire?.hangUp()
    await acceptor.closed
  })

  it('passes slices of what it reads on to another wire, intact while more is read', async () => {
    const [source, relayIn] = await pair()
    const [relayOut, target] = await pair()
    relayIn.onEach = bytes => relayOut.send(bytes)
    const count = 300
    const bodyOf = (i: number): Uint8Array => new Uint8Array(20_000 + 7 * i).fill(i)
    for (let i = 0; i < count; i += 1) {
      source.send(frameOf(bodyOf(i)))
      if (i % 10 === 0) await turn()
    }
    await target.received(count)
    expect(target.frames.every((frame, i) => equalBytes(frame.subarray(8), bodyOf(i)))).toBe(true)
    source.wire?.hangUp()
    relayOut.wire?.hangUp()
    await Promise.all([relayIn.closed, target.closed])
  })

  it.each([0, 1])('is closed on both sides when one hangs up, after what that one sent (side %i)', async side => {
    const ends = await pair()
    const [one, other] = side === 0 ? ends : ([ends[1], ends[0]] as const)
    const body = new Uint8Array(50_000).fill(9)
    for (let i = 0; i < 10; i += 1) one.send(frameOf(body))
    one.wire?.hangUp()
    one.wire?.hangUp()
    one.send(frameOf(body))
    expect((await other.closed).code).toBe('closed')
    expect((await one.closed).code).toBe('closed')
    expect(other.frames).toHaveLength(10)
    await turn()
    expect([one.closes, other.closes]).toEqual([1, 1])
  })

  it('never calls its sink from inside a method', async () => {
    const [dialler, acceptor] = await pair()
    for (const end of [dialler, acceptor]) expect(end.calledInside).toBe(false)
    dialler.hangUp()
    acceptor.hangUp()
    expect([dialler.calledInside, acceptor.calledInside]).toEqual([false, false])
    await Promise.all([dialler.closed, acceptor.closed])
  })
}

/** One try in hundreds may fail within the library (docs/dependencies.md): the core tries again, and so does this. */
const TRIES = 3

/** Opens a wire between two ends of a transport, each end's description carried to the other as the core does. */
export async function negotiatedPair(
  offerer: Negotiator,
  answerer: Negotiator,
): Promise<[NegotiatedEndOfTest, NegotiatedEndOfTest]> {
  for (let tries = 1; ; tries += 1) {
    const [one, other] = [new NegotiatedEndOfTest(), new NegotiatedEndOfTest()]
    const offering = offerer.prepare(null, [], one)
    one.wire = offering
    other.wire = answerer.prepare(await one.described, [], other)
    offering.proceed(await other.described)
    const failed = Promise.race([one.closed, other.closed])
    const fault = await Promise.race([Promise.all([one.opened, other.opened]).then(() => null), failed])
    if (fault === null) return [one, other]
    if (tries === TRIES) throw new Error(`no wire in ${tries} tries: ${fault.code} ${fault.detail ?? ''}`)
    one.hangUp()
    other.hangUp()
  }
}

export function negotiatedContract(name: string, negotiatorOf: () => Negotiator): void {
  describe(`${name} wires`, () => {
    const negotiators = [negotiatorOf(), negotiatorOf()] as const
    afterAll(async () => {
      for (const negotiator of negotiators) await negotiator.close()
    })

    openWireContract(() => negotiatedPair(...negotiators))

    it('can be hung up at every stage before it is open, and leaves the other side to its time-out', async () => {
      const [offerer, answerer] = negotiators
      const early = new NegotiatedEndOfTest()
      early.wire = offerer.prepare(null, [], early)
      early.hangUp()
      expect((await early.closed).code).toBe('closed')
      const [one, other] = [new NegotiatedEndOfTest(), new NegotiatedEndOfTest()]
      one.wire = offerer.prepare(null, [], one)
      other.wire = answerer.prepare(await one.described, [], other)
      await other.described
      one.hangUp()
      other.hangUp()
      expect([(await one.closed).code, (await other.closed).code]).toEqual(['closed', 'closed'])
      expect([one.calledInside, other.calledInside]).toEqual([false, false])
    })

    it.each([
      ['nothing', new Uint8Array(0)],
      ['garbage', new Uint8Array(300).fill(7)],
      ['what is too long', new Uint8Array(4_096).fill(1)],
    ])('ends with a fault where the other side tells %s', async (_, told) => {
      const [offerer, answerer] = negotiators
      const answering = new NegotiatedEndOfTest()
      answering.wire = answerer.prepare(told, [], answering)
      expect((await answering.closed).code).toMatch(/^(dial-failed|malformed)$/)
      const offering = new NegotiatedEndOfTest()
      const wire = offerer.prepare(null, [], offering)
      offering.wire = wire
      await offering.described
      wire.proceed(told)
      expect((await offering.closed).code).toBe('malformed')
    })

    it('carries many wires side by side', async () => {
      const pairs = await Promise.all(Array.from({ length: 8 }, () => negotiatedPair(...negotiators)))
      for (const [i, [one]] of pairs.entries()) one.send(frameOf(Uint8Array.of(i)))
      for (const [i, [one, other]] of pairs.entries()) {
        await other.received(1)
        expect(other.frames[0]?.[8]).toBe(i)
        one.wire?.hangUp()
        await other.closed
      }
    })
  })
}

export class WireEndOfTest implements WireSink {
  wire: Wire | null = null
  readonly frames: Uint8Array[] = []
  written = 0
  closes = 0
  calledInside = false
  /** In place of keeping the frames. */
  onEach: ((bytes: Uint8Array) => void) | null = null
  readonly opened: Promise<WireFacts>
  readonly closed: Promise<Fault>
  private resolveOpened: (about: WireFacts) => void = () => {}
  private resolveClosed: (fault: Fault) => void = () => {}
  private inside = false

  constructor() {
    this.opened = new Promise(resolve => {
      this.resolveOpened = resolve
    })
    this.closed = new Promise(resolve => {
      this.resolveClosed = resolve
    })
  }

  send(...buffers: Uint8Array[]): number {
    let bytes = 0
    for (const buffer of buffers) bytes += buffer.length
    this.inside = true
    this.wire?.send(buffers, bytes)
    this.inside = false
    return bytes
  }

  hangUp(): void {
    this.inside = true
    this.wire?.hangUp()
    this.inside = false
  }

  received(count: number): Promise<void> {
    return until(
      () => this.frames.length >= count,
      () =>
        `${this.frames.length} of ${count} frames came, ${this.written} bytes are written, closed ${this.closes} times`,
    )
  }

  onOpen(about: WireFacts): void {
    this.noteCall()
    this.resolveOpened(about)
  }

  onFrames(bytes: Uint8Array): void {
    this.noteCall()
    // Node's Buffer has a `slice` that copies nothing, and the core copies by `slice`.
    if (bytes.constructor !== Uint8Array) throw new Error('bytes must be a Uint8Array and no subclass')
    this.onEach?.(bytes)
    for (let at = 0; this.onEach === null && at < bytes.length; ) {
      const end = at + 4 + readU32(bytes, at)
      if (end > bytes.length) throw new Error('a part of a frame was handed on')
      this.frames.push(bytes.slice(at, end))
      at = end
    }
  }

  onWritten(bytes: number): void {
    this.noteCall()
    this.written += bytes
  }

  onClosed(fault: Fault): void {
    this.noteCall()
    this.closes += 1
    this.resolveClosed(fault)
  }

  protected noteCall(): void {
    if (this.inside || this.closes > 0) this.calledInside = true
  }
}

export class NegotiatedEndOfTest extends WireEndOfTest implements NegotiatedSink {
  readonly described: Promise<Uint8Array>
  private resolveDescribed: (description: Uint8Array) => void = () => {}

  constructor() {
    super()
    this.described = new Promise(resolve => {
      this.resolveDescribed = resolve
    })
  }

  onDescribed(description: Uint8Array): void {
    this.noteCall()
    this.resolveDescribed(description)
  }
}

export function dial(driver: WireDriver, address: Address): WireEndOfTest {
  const end = new WireEndOfTest()
  end.wire = driver.open(address, end)
  return end
}

export function frameOf(body: Uint8Array, label = 0): Uint8Array {
  const frame = new Uint8Array(8 + body.length)
  writeU32(frame, 0, 4 + body.length)
  writeU32(frame, 4, label)
  frame.set(body, 8)
  return frame
}

/** Shorter than a test's time, so that the test says what it waited for. */
const UNTIL_MS = 50_000

/** Resolves once `condition` holds; looks again each turn. `found`: what there is instead, for the error. */
export async function until(condition: () => boolean, found = () => ''): Promise<void> {
  const end = performance.now() + UNTIL_MS
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain for ${condition}: ${found()}`)
    await turn()
  }
}

function turn(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, 1))
}

function lengthOf(length: number): Uint8Array {
  const bytes = new Uint8Array(4)
  writeU32(bytes, 0, length)
  return bytes
}
