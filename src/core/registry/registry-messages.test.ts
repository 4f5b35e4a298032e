import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { bytesOfHex, hexOf, nativeSuite } from '../crypto/suite.fixtures.ts'
import { readRecord, recordIsAuthentic } from './record.ts'
import {
  decodeFindAnswer,
  decodeListAnswer,
  decodePutAnswer,
  decodeRegistryMessage,
  decodeRegistryRequest,
  encodeFindAnswer,
  encodeListAnswer,
  encodePutAnswer,
  encodeRegistryMessage,
  encodeRegistryRequest,
} from './registry-messages.ts'
import { registryVectors } from './registry-vectors.fixtures.ts'

const vectors: Record<string, string> = JSON.parse(
  readFileSync(new URL('../../../spec/vectors/registry.json', import.meta.url), 'utf8'),
)

/** What a decoder makes of bytes, encoded again; null where it refuses them. */
function again(title: string, bytes: Uint8Array): Uint8Array | null {
  if (title.startsWith('request')) {
    const request = decodeRegistryRequest(bytes)
    return request && encodeRegistryRequest(request)
  }
  if (title.startsWith('message')) {
    const message = decodeRegistryMessage(bytes)
    return message && encodeRegistryMessage(message)
  }
  if (title === 'answer put') {
    const answer = decodePutAnswer(bytes)
    return answer && encodePutAnswer(answer)
  }
  if (title === 'answer find') {
    const answer = decodeFindAnswer(bytes)
    return answer && encodeFindAnswer(answer)
  }
  const answer = decodeListAnswer(bytes)
  return answer && encodeListAnswer(answer.entries)
}

describe("the registry's messages", () => {
  it('are those of the vectors', () => {
    expect(registryVectors()).toEqual(vectors)
  })

  it.each(['announcement', 'descriptor', 'announcement withdrawn'])('%s is read and authentic', title => {
    const record = readRecord(nativeSuite, bytesOfHex(vectors[title]!))
    expect(record.ok && recordIsAuthentic(nativeSuite, record.value)).toBe(true)
  })

  it.each(Object.keys(vectors).filter(title => /^(request|answer|message)/.test(title)))(
    '%s is read and written the same, and not read with a byte too few or too many',
    title => {
      const bytes = bytesOfHex(vectors[title]!)
      expect(hexOf(again(title, bytes)!)).toBe(vectors[title])
      expect(again(title, bytes.subarray(0, -1))).toBeNull()
      expect(again(title, new Uint8Array([...bytes, 0]))?.length).not.toBe(bytes.length)
    },
  )
})
