/** Which links are used after all others, and for how long. */
import { describe, expect, it } from 'vitest'
import type { PeerId } from '../base/peer-id.ts'
import { DOUBT_MAX_MS, DOUBT_MS } from '../limits.ts'
import { LinkDoubts } from './link-doubts.ts'

// reason: any text serves as an id.
const PEER = 'peer' as PeerId

describe('a link in doubt', () => {
  it('is one that left a request without an answer, for a while', () => {
    const doubts = new LinkDoubts()
    expect(doubts.doubted(0)).toEqual([])
    doubts.failed(PEER, 0)
    expect(doubts.doubted(DOUBT_MS - 1)).toEqual([PEER])
    expect(doubts.doubted(DOUBT_MS)).toEqual([])
  })

  it('is doubted twice as long with each failure, up to a bound', () => {
    const doubts = new LinkDoubts()
    doubts.failed(PEER, 0)
    doubts.failed(PEER, 0)
    expect(doubts.doubted(2 * DOUBT_MS - 1)).toEqual([PEER])
    expect(doubts.doubted(2 * DOUBT_MS)).toEqual([])
    for (let i = 0; i < 50; i += 1) doubts.failed(PEER, 0)
    expect(doubts.doubted(DOUBT_MAX_MS - 1)).toEqual([PEER])
    expect(doubts.doubted(DOUBT_MAX_MS)).toEqual([])
  })

  it('is trusted again after answers, but not if it answers only every other time', () => {
    const doubts = new LinkDoubts()
    doubts.failed(PEER, 0)
    doubts.answered(PEER)
    expect(doubts.doubted(1)).toEqual([])
    for (let i = 0; i < 8; i += 1) {
      doubts.failed(PEER, 10)
      doubts.answered(PEER)
    }
    expect(doubts.doubted(11)).toEqual([PEER])
    doubts.forget(PEER)
    expect(doubts.doubted(11)).toEqual([])
  })
})
