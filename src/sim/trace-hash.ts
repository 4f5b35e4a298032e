/**
 * A running hash over all that passes between peers: two runs with one digest had the same packets at the same virtual
 * times, on whatever machine. Two lanes of 32 bits over every byte, by 4-byte words (murmur3's constants); it finds
 * differences, it withstands no attacker.
 */
import type { Instant } from '../core/base/instant.ts'

export class Trace {
  private a = 0x243f6a88
  private b = 0x85a308d3

  /** One packet: when it arrived, and by index from whom at whom. */
  add(at: Instant, from: number, to: number, bytes: Uint8Array): void {
    const micros = Math.floor(at * 1_000)
    this.word(micros | 0)
    this.word(Math.floor(micros / 0x1_0000_0000))
    this.word(from)
    this.word(to)
    this.word(bytes.length)
    let { a, b } = this
    const whole = bytes.length & ~3
    let word = 0
    for (let i = 0; i < whole; i += 4) {
      word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
      a = Math.imul(a ^ word, 0xcc9e2d51)
      a = (a << 15) | (a >>> 17)
      b = Math.imul(b + word, 0x1b873593)
      b ^= b >>> 15
    }
    this.a = a
    this.b = b
    if (whole === bytes.length) return
    word = 0
    for (let i = whole; i < bytes.length; i += 1) word = (word << 8) | bytes[i]!
    this.word(word)
  }

  /** 16 hexadecimal digits for all so far. */
  digest(): string {
    const first = finish(this.a ^ Math.imul(this.b, 0x9e3779b1))
    return hex(first) + hex(finish(this.b ^ first))
  }

  private word(word: number): void {
    const a = Math.imul(this.a ^ word, 0xcc9e2d51)
    this.a = (a << 15) | (a >>> 17)
    const b = Math.imul(this.b + word, 0x1b873593)
    this.b = b ^ (b >>> 15)
  }
}

function finish(lane: number): number {
  let z = Math.imul(lane ^ (lane >>> 16), 0x85ebca6b)
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
  return (z ^ (z >>> 16)) >>> 0
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0')
}
