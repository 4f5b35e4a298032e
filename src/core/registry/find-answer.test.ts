/** An answer to find or list passes through peers that take no more than a routed payload. */
import { describe, expect, it } from 'vitest'
import { REF_BYTES_MAX } from '../crypto/peer-ref.ts'
import { FOUND_REFS_MAX, ROUTED_PAYLOAD_BYTES_MAX, SUMMARY_BYTES_MAX } from '../limits.ts'
import { decodeFindAnswer, decodeListAnswer, encodeFindAnswer, encodeListAnswer } from './registry-messages.ts'
import { parseServiceName } from './service-name.ts'

describe('an answer of the registry', () => {
  it('to find holds no more refs than a routed answer takes', () => {
    const refs = Array.from({ length: FOUND_REFS_MAX }, () => new Uint8Array(300))
    const bytes = encodeFindAnswer({ members: 64, refs })
    expect(bytes.length).toBeLessThanOrEqual(ROUTED_PAYLOAD_BYTES_MAX)
    expect(decodeFindAnswer(bytes)?.refs.length).toBe(40)
    const longest = encodeFindAnswer({ members: 64, refs: refs.map(() => new Uint8Array(REF_BYTES_MAX)) })
    expect(longest.length).toBeLessThanOrEqual(ROUTED_PAYLOAD_BYTES_MAX)
  })

  it('to list holds no more services than a routed answer takes, and says that there are more', () => {
    const entries = Array.from({ length: 200 }, (_, index) => {
      const service = parseServiceName(`service-${index}.example/1`)
      if (!service.ok) throw new Error('no name')
      return { service: service.value, members: 1, summary: 's'.repeat(SUMMARY_BYTES_MAX) }
    })
    const bytes = encodeListAnswer(entries)
    expect(bytes.length).toBeLessThanOrEqual(ROUTED_PAYLOAD_BYTES_MAX)
    expect(decodeListAnswer(bytes)).toMatchObject({ more: true })
  })
})
