import { beforeEach, describe, expect, it } from 'vitest'
import { parsePeerId } from '../core/base/peer-id.ts'
import type { Command } from '../core/input.ts'
import { LARGE_WRITE_BYTES, OpenStream, RESET_NO_HANDLER, type StreamHost, WRITE_HIGH_BYTES } from './mesh-stream.ts'
import { Staging } from './staging.ts'

class RecordingHost implements StreamHost {
  readonly staging = new Staging()
  delivering = false
  readonly commands: Command[] = []
  readonly done: OpenStream[] = []
  private later: OpenStream[] = []

  command(command: Command): void {
    this.commands.push(command)
  }

  flushLater(stream: OpenStream): void {
    this.later.push(stream)
  }

  onStreamDone(stream: OpenStream): void {
    this.done.push(stream)
  }

  /** The end of a turn: what it sent, in order. */
  turn(): Command[] {
    for (const stream of this.later.splice(0)) stream.flush()
    return this.commands.splice(0)
  }
}

const peer = parsePeerId('ab'.repeat(32))
if (!peer.ok) throw new Error('the id of this test is no id')
const peerId = peer.value

let host = new RecordingHost()
let stream = newStream()

function newStream(id = 0): OpenStream {
  return new OpenStream(host, 1, id, peerId, 'test/1')
}

beforeEach(() => {
  host = new RecordingHost()
  stream = newStream()
})

function bytesOf(...values: number[]): Uint8Array {
  return Uint8Array.from(values)
}

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const mark = {}
  const first = await Promise.race([
    promise.catch(() => undefined),
    new Promise(resolve => setImmediate(resolve, mark)),
  ])
  return first === mark
}

describe('writing', () => {
  it('gathers the small writes of a turn into one chunk of one command', () => {
    const reused = bytesOf(1, 2)
    void stream.write(reused)
    reused.fill(9)
    void stream.write(bytesOf(3))
    const commands = host.turn()
    expect(commands).toEqual([{ kind: 'stream-write', session: 1, stream: 0, chunks: [bytesOf(1, 2, 3)] }])
    expect(host.turn()).toEqual([])
  })

  it('keeps the writes of two streams apart', () => {
    const other = newStream(2)
    void stream.write(bytesOf(1))
    void other.write(bytesOf(2))
    void stream.write(bytesOf(3))
    expect(host.turn()).toMatchObject([
      { stream: 0, chunks: [bytesOf(1), bytesOf(3)] },
      { stream: 2, chunks: [bytesOf(2)] },
    ])
  })

  it('does not change what it gave away before', () => {
    void stream.write(bytesOf(1))
    const [first] = host.turn()
    for (let i = 0; i < 200; i += 1) void stream.write(new Uint8Array(1000).fill(i))
    expect(first).toMatchObject({ chunks: [bytesOf(1)] })
    const [second] = host.turn()
    const lengths = second?.kind === 'stream-write' ? second.chunks.map(chunk => chunk.length) : []
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(200_000)
    expect(lengths.length).toBeLessThan(6)
  })

  it('resolves at once with one promise while little waits', () => {
    expect(stream.write(bytesOf(1))).toBe(stream.write(bytesOf(2)))
  })

  it('gives a large write away at once, uncopied, after what was written before, and holds its promise until sealed', async () => {
    const large = new Uint8Array(LARGE_WRITE_BYTES)
    void stream.write(bytesOf(1))
    const written = stream.write(large)
    const [command] = host.commands
    expect(command).toMatchObject({ kind: 'stream-write', chunks: [bytesOf(1), large] })
    expect(command?.kind === 'stream-write' && command.chunks[1]).toBe(large)
    expect(await isPending(written)).toBe(true)
    stream.onDrained(0)
    await written
  })

  it('copies a large write of a listener: events before it may still be told', async () => {
    const large = new Uint8Array(LARGE_WRITE_BYTES).fill(1)
    void stream.write(bytesOf(2))
    host.delivering = true
    const written = stream.write(large)
    large.fill(9)
    host.delivering = false
    stream.onDrained(0)
    await written
    expect(host.turn()).toMatchObject([{ chunks: [bytesOf(2), new Uint8Array(LARGE_WRITE_BYTES).fill(1)] }])
  })

  it('makes a fast writer wait, and lets it go on when the queue has drained', async () => {
    let waits = stream.write(new Uint8Array(1000))
    let written = 1000
    while (!(await isPending(waits))) {
      waits = stream.write(new Uint8Array(10_000))
      written += 10_000
      host.turn()
    }
    expect(written).toBeGreaterThan(WRITE_HIGH_BYTES)
    expect(written).toBeLessThan(WRITE_HIGH_BYTES + 20_000)
    stream.onDrained(WRITE_HIGH_BYTES / 2)
    await waits
  })

  it('can be given up by a signal while it waits', async () => {
    const giveUp = new AbortController()
    const written = stream.write(new Uint8Array(LARGE_WRITE_BYTES), { signal: giveUp.signal })
    giveUp.abort(new Error('enough'))
    await expect(written).rejects.toMatchObject({ code: 'aborted', detail: 'enough' })
  })

  it('ends after what was written', async () => {
    void stream.write(bytesOf(1))
    const ended = stream.end()
    expect(host.turn().map(command => command.kind)).toEqual(['stream-write', 'stream-end'])
    stream.onDrained(0)
    await ended
    await expect(stream.write(bytesOf(2))).rejects.toMatchObject({ code: 'closed' })
    expect(host.turn()).toEqual([])
  })

  it('refuses what is no Uint8Array', async () => {
    // reason: the mistake of a user without types.
    await expect(stream.write('text' as unknown as Uint8Array)).rejects.toMatchObject({ code: 'invalid-option' })
  })
})

describe('reading', () => {
  it('gives what came before and after it was asked for, then null', async () => {
    stream.onData([bytesOf(1), bytesOf(2)])
    expect(await stream.read()).toEqual(bytesOf(1))
    expect(await stream.read()).toEqual(bytesOf(2))
    const later = stream.read()
    stream.onData([bytesOf(3)])
    expect(await later).toEqual(bytesOf(3))
    const last = stream.read()
    stream.onEnded()
    expect(await last).toBe(null)
    expect(await stream.read()).toBe(null)
  })

  it('gives back credit once a turn for all that was taken, and none for what was not', async () => {
    stream.onData([new Uint8Array(10_000), new Uint8Array(20_000), new Uint8Array(40_000)])
    expect(host.turn()).toEqual([])
    await stream.read()
    await stream.read()
    expect(host.turn()).toEqual([{ kind: 'stream-consumed', session: 1, stream: 0, bytes: 30_000 }])
  })

  it('gives back little only when it has added up, or when the other side has ended', async () => {
    stream.onData([new Uint8Array(5_000), new Uint8Array(5_000), new Uint8Array(7)])
    await stream.read()
    expect(host.turn()).toEqual([])
    await stream.read()
    expect(host.turn()).toMatchObject([{ kind: 'stream-consumed', bytes: 10_000 }])
    await stream.read()
    expect(host.turn()).toEqual([])
    stream.onEnded()
    expect(host.turn()).toMatchObject([{ kind: 'stream-consumed', bytes: 7 }])
  })

  it('iterates; leaving the loop leaves the stream open for another', async () => {
    stream.onData([bytesOf(1), bytesOf(2), bytesOf(3)])
    stream.onEnded()
    for await (const chunk of stream) {
      expect(chunk).toEqual(bytesOf(1))
      break
    }
    const rest: number[] = []
    for await (const chunk of stream) rest.push(...chunk)
    expect(rest).toEqual([2, 3])
  })

  it('keeps the order over a long queue', async () => {
    for (let i = 0; i < 500; i += 1) stream.onData([bytesOf(i & 255)])
    for (let i = 0; i < 500; i += 1) expect(await stream.read()).toEqual(bytesOf(i & 255))
  })

  it('can be given up by a signal, and loses nothing by it', async () => {
    const giveUp = new AbortController()
    const read = stream.read({ signal: giveUp.signal })
    await isPending(read)
    giveUp.abort()
    await expect(read).rejects.toMatchObject({ code: 'aborted' })
    stream.onData([bytesOf(7)])
    expect(await stream.read()).toEqual(bytesOf(7))
  })

  it('is done in one way only', () => {
    void stream.readable
    expect(() => stream[Symbol.asyncIterator]()).toThrow(/either through readable/)
  })
})

describe('the end', () => {
  it('is told by closed when both directions have ended, and the stream leaves the table', async () => {
    const { closed } = stream
    stream.onEnded()
    void stream.end()
    expect(host.done).toEqual([])
    host.turn()
    await closed
    expect(host.done).toEqual([stream])
    await newEnded().closed
  })

  it('gives what had arrived before the failure, then the failure, everywhere', async () => {
    const waiting = stream.write(new Uint8Array(LARGE_WRITE_BYTES))
    stream.onData([bytesOf(1)])
    stream.onFailed({ code: 'stream-reset' }, 5)
    expect(await stream.read()).toEqual(bytesOf(1))
    const failure = { code: 'stream-reset', reset: 5 }
    await expect(stream.read()).rejects.toMatchObject(failure)
    await expect(waiting).rejects.toMatchObject(failure)
    await expect(stream.write(bytesOf(1))).rejects.toMatchObject(failure)
    await expect(stream.end()).rejects.toMatchObject(failure)
    await expect(stream.closed).rejects.toMatchObject(failure)
    expect(host.done).toEqual([stream])
  })

  it('says which service is not there', async () => {
    stream.onFailed({ code: 'stream-reset' }, RESET_NO_HANDLER)
    await expect(stream.read()).rejects.toMatchObject({ code: 'no-such-service', detail: 'test/1' })
  })

  it('is silent where nobody waits for it', async () => {
    void stream.closed
    void stream.write(new Uint8Array(LARGE_WRITE_BYTES))
    void stream.read()
    void stream[Symbol.asyncIterator]().next()
    const other = newStream(2)
    void other.readable
    stream.onFailed({ code: 'session-lost' }, 0)
    other.onFailed({ code: 'session-lost' }, 0)
    void stream.read()
    // An unhandled rejection would fail this run.
    await new Promise(resolve => setTimeout(resolve, 5))
  })

  it('is one reset, after which nothing is sent', async () => {
    void stream.write(bytesOf(1))
    stream.reset(9)
    stream.reset(9)
    expect(host.turn()).toEqual([{ kind: 'stream-reset', session: 1, stream: 0, reset: 9 }])
    await expect(stream.read()).rejects.toMatchObject({ code: 'closed' })
    expect(() => newStream().reset(-1)).toThrow(/reset code/)
  })

  it('counts as read what nobody will read', async () => {
    stream.onData([bytesOf(1, 2, 3)])
    stream.onEnded()
    await stream[Symbol.asyncDispose]()
    expect(host.turn()).toMatchObject([{ kind: 'stream-consumed', bytes: 3 }, { kind: 'stream-end' }])
  })

  function newEnded(): OpenStream {
    const ended = newStream(4)
    ended.onEnded()
    void ended.end()
    host.turn()
    return ended
  }
})

describe('Web streams', () => {
  it('read the same bytes, with credit as the reader takes them', async () => {
    stream.onData([new Uint8Array(10_000)])
    const reader = stream.readable.getReader()
    expect((await reader.read()).value).toHaveLength(10_000)
    stream.onData([new Uint8Array(20_000), new Uint8Array(40_000)])
    expect((await reader.read()).value).toHaveLength(20_000)
    await isPending(Promise.resolve())
    const credit = host
      .turn()
      .reduce((sum, command) => sum + (command.kind === 'stream-consumed' ? command.bytes : 0), 0)
    expect(credit).toBe(30_000)
    stream.onEnded()
    expect((await reader.read()).value).toHaveLength(40_000)
    expect((await reader.read()).done).toBe(true)
    expect(host.turn()).toMatchObject([{ kind: 'stream-consumed', bytes: 40_000 }])
  })

  it('hold back a sender whose bytes nobody reads', () => {
    void stream.readable
    for (let i = 0; i < 64; i += 1) stream.onData([new Uint8Array(65_536)])
    expect(host.turn()).toEqual([])
  })

  it('write, wait and end', async () => {
    const writer = stream.writable.getWriter()
    await writer.write(bytesOf(1))
    const large = writer.write(new Uint8Array(LARGE_WRITE_BYTES))
    expect(await isPending(large)).toBe(true)
    host.turn()
    stream.onDrained(0)
    await large
    const closed = writer.close()
    await isPending(Promise.resolve())
    expect(host.turn().map(command => command.kind)).toEqual(['stream-end'])
    await closed
  })

  it('fail with the error of the stream', async () => {
    const reader = stream.readable.getReader()
    const writer = stream.writable.getWriter()
    await isPending(Promise.resolve())
    stream.onFailed({ code: 'session-lost' }, 0)
    await expect(reader.read()).rejects.toMatchObject({ code: 'session-lost' })
    await expect(writer.write(bytesOf(1))).rejects.toMatchObject({ code: 'session-lost' })
  })

  it('cancelled, drop what comes and leave the other direction open', async () => {
    stream.onData([new Uint8Array(10_000)])
    await stream.readable.cancel()
    stream.onData([new Uint8Array(5)])
    void stream.write(bytesOf(1))
    const kinds = host.turn().map(command => command.kind)
    expect(kinds).toContain('stream-write')
    expect(kinds).not.toContain('stream-reset')
    expect(kinds).toContain('stream-consumed')
  })
})
