/**
 * Reading and writing of wire formats. Numbers are big-endian. A reader never throws: reading past the end makes it
 * `failed` for good and yields zeros, so a decoder reads straight through and asks once at the end.
 */

export const NO_BYTES = new Uint8Array(0)

export class ByteReader {
  private readonly bytes: Uint8Array
  private at: number
  private readonly end: number
  failed = false

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = start
    this.end = end
  }

  get remaining(): number {
    return this.end - this.at
  }

  /** True when everything was read and nothing was missing: decoders refuse trailing bytes with it. */
  get finished(): boolean {
    return !this.failed && this.at === this.end
  }

  /** More than `max` fail the reader. */
  u8(max = 255): number {
    const value = this.take(1) ? this.bytes[this.at - 1]! : 0
    if (value > max) this.failed = true
    return value
  }

  u16(): number {
    if (!this.take(2)) return 0
    const { bytes, at } = this
    return (bytes[at - 2]! << 8) | bytes[at - 1]!
  }

  u32(): number {
    if (!this.take(4)) return 0
    return readU32(this.bytes, this.at - 4)
  }

  /** 48 bits: packet numbers, milliseconds since 1970. */
  u48(): number {
    if (!this.take(6)) return 0
    return readU48(this.bytes, this.at - 6)
  }

  /** 56 bits of which at most 53 may be used; a larger number fails the reader. */
  u56(): number {
    if (!this.take(7)) return 0
    const high = this.bytes[this.at - 7]!
    if (high > 0x1f) this.failed = true
    return this.failed ? 0 : high * 2 ** 48 + readU48(this.bytes, this.at - 6)
  }

  /** LEB128, at most 53 bits. */
  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i += 1) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) this.failed = true
        return this.failed ? 0 : value
      }
      scale *= 128
    }
    this.failed = true
    return 0
  }

  /** The next `length` bytes, to be read only: mostly a view, not a copy. */
  raw(length: number): Uint8Array {
    return this.take(length) ? partOf(this.bytes, this.at - length, this.at) : NO_BYTES
  }

  /** A view of all that is left. */
  rest(): Uint8Array {
    return this.raw(this.remaining)
  }

  /** Bytes with a varint length before them, at most `lengthMax` of them. */
  sized(lengthMax: number): Uint8Array {
    const length = this.varint()
    if (length > lengthMax) this.failed = true
    return this.failed ? NO_BYTES : this.raw(length)
  }

  /** UTF-8 text with a varint length in bytes before it. Ill-formed UTF-8 fails the reader. */
  text(lengthMax: number): string {
    const text = decodeUtf8(this.sized(lengthMax))
    if (text === null) this.failed = true
    return text ?? ''
  }

  /** One byte, which is 1 where it holds. */
  flag(): boolean {
    return this.u8() === 1
  }

  /** One of these, by its place among them. Any other number fails the reader. */
  oneOf<T>(choices: readonly T[]): T {
    const choice = choices[this.u8()]
    if (choice === undefined) this.failed = true
    // reason: what a failed reader yields counts for nothing.
    return choice as T
  }

  /** So many as were told, or where no number was told as many as are left; more than `countMax` fail the reader. */
  list<T>(countMax: number, read: (reader: ByteReader) => T, count?: number): T[] {
    const list: T[] = []
    if (count !== undefined && count > countMax) this.failed = true
    while (!this.failed && (count === undefined ? this.at < this.end : list.length < count)) list.push(read(this))
    if (list.length > countMax) this.failed = true
    return list
  }

  private take(length: number): boolean {
    if (this.failed || length > this.end - this.at) {
      this.failed = true
      return false
    }
    this.at += length
    return true
  }
}

/** What `read` makes of the bytes, or null where it took too many or too few of them, or finds fault itself. */
export function readWhole<T>(bytes: Uint8Array, read: (reader: ByteReader) => T | null): T | null {
  const reader = new ByteReader(bytes)
  const value = read(reader)
  return reader.finished ? value : null
}

/** For lists of numbers. */
export function u32Field(reader: ByteReader): number {
  return reader.u32()
}

export class ByteWriter {
  private bytes: Uint8Array
  private at = 0

  constructor(capacity = 64) {
    this.bytes = new Uint8Array(capacity)
  }

  get length(): number {
    return this.at
  }

  u8(value: number): this {
    this.reserve(1)
    this.bytes[this.at++] = value
    return this
  }

  flag(value: boolean): this {
    return this.u8(value ? 1 : 0)
  }

  /** Its place among these. */
  oneOf<T>(choices: readonly T[], choice: T): this {
    return this.u8(choices.indexOf(choice))
  }

  u16(value: number): this {
    return this.u8(value >>> 8).u8(value)
  }

  u32(value: number): this {
    this.reserve(4)
    writeU32(this.bytes, this.at, value)
    this.at += 4
    return this
  }

  u48(value: number): this {
    this.reserve(6)
    writeU48(this.bytes, this.at, value)
    this.at += 6
    return this
  }

  u56(value: number): this {
    return this.u8(Math.floor(value / 2 ** 48)).u48(value % 2 ** 48)
  }

  varint(value: number): this {
    let rest = value
    while (rest >= 128) {
      this.u8((rest % 128) | 0x80)
      rest = Math.floor(rest / 128)
    }
    return this.u8(rest)
  }

  raw(bytes: Uint8Array): this {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
    return this
  }

  sized(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes)
  }

  text(text: string): this {
    return this.sized(encodeUtf8(text))
  }

  /** What was written, mostly as a view of the writer's buffer: write nothing more afterwards. */
  finish(): Uint8Array {
    return this.at === this.bytes.length ? this.bytes : partOf(this.bytes, 0, this.at)
  }

  private reserve(length: number): void {
    if (this.at + length <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.at + length))
    grown.set(this.bytes.subarray(0, this.at))
    this.bytes = grown
  }
}

/** Up to here V8 keeps an array's bytes within the array, on the heap. */
const SHORT_BYTES = 64

/**
 * A part that is only read: a view, but of a short array a copy. The first view of such a one would move its bytes off
 * the heap, which costs ten copies.
 */
export function partOf(bytes: Uint8Array, start: number, end = bytes.length): Uint8Array {
  return bytes.length <= SHORT_BYTES ? bytes.slice(start, end) : bytes.subarray(start, end)
}

/** How many bytes `varint` writes. */
export function varintBytes(value: number): number {
  let length = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length += 1
  return length
}

export function readU32(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 0x1000000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

export function readU48(bytes: Uint8Array, at: number): number {
  const high = (bytes[at]! << 8) | bytes[at + 1]!
  // The sum with a product is a number on the heap, in whatever field it is kept, even where it is small.
  return high === 0 ? readU32(bytes, at + 2) : high * 0x100000000 + readU32(bytes, at + 2)
}

export function writeU48(bytes: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 0x100000000)
  bytes[at] = high >>> 8
  bytes[at + 1] = high
  writeU32(bytes, at + 2, value >>> 0)
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false
  return true
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

// TextEncoder is no part of ECMAScript, and the core compiles against the language alone.

export function encodeUtf8(text: string): Uint8Array {
  const out: number[] = []
  for (const char of text) {
    const code = char.codePointAt(0)!
    const point = code >= 0xd800 && code <= 0xdfff ? 0xfffd : code
    if (point < 0x80) out.push(point)
    else if (point < 0x800) out.push(0xc0 | (point >> 6), 0x80 | (point & 0x3f))
    else if (point < 0x10000) out.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f))
    else
      out.push(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 0x3f), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f))
  }
  return Uint8Array.from(out)
}

/** Short texts in ASCII, as of addresses, are made at once: put together by letters they stay a tree of pieces. */
const SHORT_TEXT_BYTES = 256

function isAscii(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte >= 0x80) return false
  return true
}

/** The text, or null where the bytes are not well-formed UTF-8 (overlong forms and surrogates included). */
export function decodeUtf8(bytes: Uint8Array): string | null {
  if (bytes.length <= SHORT_TEXT_BYTES && isAscii(bytes)) return String.fromCharCode(...bytes)
  let text = ''
  for (let i = 0; i < bytes.length; ) {
    const first = bytes[i]!
    const extra = first < 0x80 ? 0 : first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1
    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || i + extra >= bytes.length) return null
    let point = extra === 0 ? first : first & (0x3f >> extra)
    for (let k = 1; k <= extra; k += 1) {
      const next = bytes[i + k]!
      if ((next & 0xc0) !== 0x80) return null
      point = (point << 6) | (next & 0x3f)
    }
    const least = [0, 0x80, 0x800, 0x10000][extra]!
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return null
    text += String.fromCodePoint(point)
    i += extra + 1
  }
  return text
}
