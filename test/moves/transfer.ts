/** A transfer between two peers of the moves: what is sent, and what its receiver says of how it came. */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import type { MeshStream } from '../../src/index.node.ts'

/** Of one transfer, as its receiver saw it. */
export interface Arrival {
  readonly bytes: number
  readonly hash: string
  /** Between two chunks that followed each other. */
  readonly worstGapMs: number
  /** Those above 300 ms: when they ended, since the first chunk, and how long they were. */
  readonly gaps: readonly { readonly atMs: number; readonly gapMs: number }[]
  /** How the stream ended: `end`, or the code of its error. */
  readonly ended: string
}

const CHUNK_BYTES = 65_536
const GAP_TOLD_MS = 300

/** Reads all of a stream; `onChunk` hears of each chunk. */
export async function take(stream: MeshStream, onChunk: (bytes: number) => void): Promise<Arrival> {
  const hash = sha256.create()
  const gaps: { atMs: number; gapMs: number }[] = []
  let [bytes, worstGapMs, ended] = [0, 0, 'end']
  let [startedAt, lastAt] = [0, 0]
  try {
    for await (const chunk of stream) {
      const now = performance.now()
      if (lastAt === 0) startedAt = now
      else if (now - lastAt > GAP_TOLD_MS)
        gaps.push({ atMs: Math.round(now - startedAt), gapMs: Math.round(now - lastAt) })
      if (lastAt !== 0) worstGapMs = Math.max(worstGapMs, Math.round(now - lastAt))
      lastAt = now
      bytes += chunk.length
      hash.update(chunk)
      onChunk(chunk.length)
    }
  } catch (error) {
    ended = codeOf(error)
  }
  return { bytes, hash: bytesToHex(hash.digest()), worstGapMs, gaps, ended }
}

/** Writes so many bytes, none like the one before; their hash. */
export async function send(stream: MeshStream, bytes: number): Promise<string> {
  const hash = sha256.create()
  const chunk = new Uint8Array(CHUNK_BYTES)
  const words = new Uint32Array(chunk.buffer)
  for (let at = 0; at < bytes; at += CHUNK_BYTES) {
    words.forEach((_, i) => {
      words[i] = Math.imul(at + i + 1, 2_654_435_761)
    })
    const part = chunk.slice(0, Math.min(CHUNK_BYTES, bytes - at))
    hash.update(part)
    await stream.write(part)
  }
  await stream.end()
  return bytesToHex(hash.digest())
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
