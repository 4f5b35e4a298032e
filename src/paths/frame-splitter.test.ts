import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, equalBytes, readU32, writeU32 } from '../core/base/bytes.ts'
import { FRAME_BYTES_MAX } from '../core/limits.ts'
import { FrameSplitter } from './frame-splitter.ts'

function frameOf(body: Uint8Array, label = 7): Uint8Array {
  const frame = new Uint8Array(8 + body.length)
  writeU32(frame, 0, 4 + body.length)
  writeU32(frame, 4, label)
  frame.set(body, 8)
  return frame
}

function lengthOnly(length: number): Uint8Array {
  const bytes = new Uint8Array(4)
  writeU32(bytes, 0, length)
  return bytes
}

/** The chunks through one splitter: every slice handed on, and the fault. */
function split(chunks: readonly Uint8Array[]) {
  const splitter = new FrameSplitter()
  const slices: Uint8Array[] = []
  for (const chunk of chunks) {
    const fault = splitter.push(chunk, { onFrames: bytes => slices.push(bytes.slice()) })
    if (fault !== null) return { slices, fault, partial: splitter.partial }
  }
  return { slices, fault: null, partial: splitter.partial }
}

function cutAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...[...cuts].map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return places.slice(1).map((end, i) => bytes.slice(places[i], end))
}

function wholeFrames(slice: Uint8Array): boolean {
  let at = 0
  while (slice.length - at >= 4) at += 4 + readU32(slice, at)
  return at === slice.length && at > 0
}

describe('the frame splitter', () => {
  it('hands on the same bytes, in slices of whole frames, however the stream is cut', () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 })
    const cuts = fc.array(fc.nat(600), { maxLength: 40 })
    fc.assert(
      fc.property(bodies, cuts, (list, places) => {
        const stream = concatBytes(...list.map(body => frameOf(body)))
        const { slices, fault, partial } = split(cutAt(stream, places))
        expect(fault).toBeNull()
        expect(partial).toBe(false)
        expect(slices.every(wholeFrames)).toBe(true)
        expect(concatBytes(...slices)).toEqual(stream)
      }),
      { numRuns: 500 },
    )
  })

  it('puts together frames of full size from any cuts', () => {
    const body = Uint8Array.from({ length: FRAME_BYTES_MAX - 4 }, (_, i) => i * 31)
    const stream = concatBytes(frameOf(body), frameOf(new Uint8Array(0)), frameOf(body))
    for (const step of [1_000, 65_536, 66_047, 66_056, stream.length]) {
      const chunks: Uint8Array[] = []
      for (let at = 0; at < stream.length; at += step) chunks.push(stream.slice(at, at + step))
      const { slices, fault } = split(chunks)
      expect(fault).toBeNull()
      expect(equalBytes(concatBytes(...slices), stream)).toBe(true)
    }
  })

  it('hands on many whole frames of one chunk as the chunk itself, without a copy', () => {
    const chunk = concatBytes(...[1, 2, 3].map(n => frameOf(new Uint8Array(n))))
    const slices: Uint8Array[] = []
    new FrameSplitter().push(chunk, { onFrames: bytes => slices.push(bytes) })
    expect(slices).toHaveLength(1)
    expect(slices[0]).toBe(chunk)
  })

  it('keeps the tail even when the chunk is overwritten as soon as its frames were handed on', () => {
    const first = frameOf(Uint8Array.from([1, 2, 3]))
    const second = frameOf(Uint8Array.from([4, 5, 6]))
    const stream = concatBytes(first, second)
    const splitter = new FrameSplitter()
    const slices: Uint8Array[] = []
    const chunk = stream.slice(0, first.length + 9)
    splitter.push(chunk, {
      onFrames: bytes => {
        slices.push(bytes.slice())
        chunk.fill(0xee)
      },
    })
    splitter.push(stream.slice(first.length + 9), { onFrames: bytes => slices.push(bytes) })
    expect(slices).toEqual([first, second])
  })

  it.each([
    ['one byte above the limit', FRAME_BYTES_MAX + 1, 'frame-too-large'],
    ['the largest number', 0xffffffff, 'frame-too-large'],
    ['HTTP instead of a length', 0x47455420, 'frame-too-large'],
    ['zero', 0, 'malformed'],
    ['less than a label', 3, 'malformed'],
  ])('refuses a length that is %s, wherever it is cut, after handing on what came before', (_, length, code) => {
    const good = frameOf(Uint8Array.from([9]))
    const stream = concatBytes(good, lengthOnly(length))
    for (let cut = 0; cut <= stream.length; cut += 1) {
      const { slices, fault } = split([stream.slice(0, cut), stream.slice(cut)])
      expect(fault?.code).toBe(code)
      expect(concatBytes(...slices)).toEqual(good)
    }
  })

  it('knows when it is in the middle of a frame', () => {
    const frame = frameOf(Uint8Array.from([1, 2]))
    for (let cut = 1; cut < frame.length; cut += 1) expect(split([frame.slice(0, cut)]).partial).toBe(true)
    expect(split([frame]).partial).toBe(false)
  })
})
