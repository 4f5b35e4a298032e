import { describe, expect, it } from 'vitest'
import { canFree, SpentMemory } from './spent-memory.node.ts'

const LARGE = 65_536

describe('memory of packets that were sent', () => {
  if (!canFree) {
    it('is left to the garbage collector where the runtime cannot free it', () => {
      const memory = new SpentMemory()
      const packet = new Uint8Array(LARGE)
      expect(memory.hold(packet)).toBe(false)
      memory.free([packet])
      expect(packet.length).toBe(LARGE)
    })
    return
  }

  it('is freed at once where no socket writes it', () => {
    const memory = new SpentMemory()
    const packet = new Uint8Array(LARGE)
    memory.free([packet])
    expect(packet.length).toBe(0)
  })

  it('is freed when the last write is over, however early it was acknowledged', () => {
    const memory = new SpentMemory()
    const packet = new Uint8Array(LARGE)
    expect([memory.hold(packet), memory.hold(packet)]).toEqual([true, true])
    memory.free([packet])
    memory.letGo(packet)
    expect(packet.length).toBe(LARGE)
    memory.letGo(packet)
    expect(packet.length).toBe(0)
    expect(memory.counts).toEqual({ writes: 0, spent: 0 })
  })

  it('stays while nobody has said that it is spent', () => {
    const memory = new SpentMemory()
    const packet = new Uint8Array(LARGE)
    memory.hold(packet)
    memory.letGo(packet)
    expect(packet.length).toBe(LARGE)
    expect(memory.counts).toEqual({ writes: 0, spent: 0 })
  })

  it('is left alone where it is a part of more, or small', () => {
    const memory = new SpentMemory()
    const [part, small] = [new Uint8Array(new ArrayBuffer(2 * LARGE), LARGE), new Uint8Array(100)]
    for (const packet of [part, small]) {
      expect(memory.hold(packet)).toBe(false)
      const { length } = packet
      memory.free([packet])
      expect(packet.length).toBe(length)
    }
  })
})
