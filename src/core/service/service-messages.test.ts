import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { bytesOfHex, hexOf } from '../crypto/suite.fixtures.ts'
import { decodeServiceMessage, encodeServiceMessage } from './service-messages.ts'
import { serviceVectors } from './service-vectors.fixtures.ts'

const vectors: Record<string, string> = JSON.parse(
  readFileSync(new URL('../../../spec/vectors/service.json', import.meta.url), 'utf8'),
)

describe('the messages between members', () => {
  it('are those of the vectors', () => {
    expect(serviceVectors()).toEqual(vectors)
  })

  it.each(Object.keys(vectors).slice(1))('%s is read and written the same', title => {
    const bytes = bytesOfHex(vectors[title]!)
    const decoded = decodeServiceMessage(bytes)!
    expect(hexOf(encodeServiceMessage(decoded.tag, decoded.message))).toBe(vectors[title])
    // A broadcast's payload goes to the end of the message: its signature tells where that is.
    if (decoded.message.kind === 'gossip') return
    expect(decodeServiceMessage(bytes.subarray(0, -1))).toBeNull()
    const longer = decodeServiceMessage(new Uint8Array([...bytes, 0]))
    expect(longer === null || hexOf(encodeServiceMessage(longer.tag, longer.message)) !== vectors[title]).toBe(true)
  })
})
