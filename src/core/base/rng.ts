/**
 * Seeded randomness for decisions (never for keys). Forked by label, so that a new draw in one part does not shift the
 * draws of another and old seeds keep their meaning. Generator: xoshiro128**, Blackman and Vigna 2018.
 */
const SPARSE_SAMPLE_MAX = 16

export class Rng {
  private a: number
  private b: number
  private c: number
  private d: number

  constructor(seed: number | string) {
    let state = hashText(typeof seed === 'number' ? `#${seed}` : seed)
    const next = (): number => {
      // SplitMix32 spreads the seed over the state.
      state = (state + 0x9e3779b9) | 0
      let z = state ^ (state >>> 16)
      z = Math.imul(z, 0x21f0aaad)
      z ^= z >>> 15
      z = Math.imul(z, 0x735a2d97)
      return (z ^ (z >>> 15)) >>> 0
    }
    this.a = next()
    this.b = next()
    this.c = next()
    this.d = next() | 1
  }

  /** An independent generator: the same label from the same state gives the same one. */
  fork(label: string): Rng {
    return new Rng(`${label}/${this.a}/${this.b}/${this.c}/${this.d}`)
  }

  /** A uniform 32-bit number. */
  u32(): number {
    const mixed = Math.imul(this.b, 5)
    const result = Math.imul((mixed << 7) | (mixed >>> 25), 9) >>> 0
    const shifted = this.b << 9
    this.c ^= this.a
    this.d ^= this.b
    this.b ^= this.c
    this.a ^= this.d
    this.c ^= shifted
    this.d = (this.d << 11) | (this.d >>> 21)
    return result
  }

  /** Uniform in [0, 1), with 53 bits. */
  unit(): number {
    return ((this.u32() >>> 5) * 67108864 + (this.u32() >>> 6)) / 9007199254740992
  }

  /** A uniform whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.unit() * limit)
  }

  /** Around `value`, by at most `share` of it either way: spreads timers that would otherwise beat together. */
  around(value: number, share = 0.1): number {
    return value * (1 - share + 2 * share * this.unit())
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items.length === 0 ? undefined : items[this.below(items.length)]
  }

  /** Up to `count` different items in random order: Fisher and Yates's shuffle, as far as it is needed. */
  sample<T>(items: readonly T[], count: number): T[] {
    const taken = Math.min(count, items.length)
    if (taken > SPARSE_SAMPLE_MAX) return this.shuffle(items.slice(), taken).slice(0, taken)
    // A few of many: only the places that a swap has changed are written down.
    const chosen: T[] = []
    const places: number[] = []
    const standing: T[] = []
    const at = (place: number): T => {
      const changed = places.lastIndexOf(place)
      return changed < 0 ? items[place]! : standing[changed]!
    }
    for (let i = 0; i < taken; i += 1) {
      const j = i + this.below(items.length - i)
      chosen.push(at(j))
      standing.push(at(i))
      places.push(j)
    }
    return chosen
  }

  private shuffle<T>(pool: T[], count: number): T[] {
    for (let i = 0; i < count; i += 1) {
      const j = i + this.below(pool.length - i)
      const swap = pool[i]!
      pool[i] = pool[j]!
      pool[j] = swap
    }
    return pool
  }
}

function hashText(text: string): number {
  // FNV-1a, 32 bits.
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
