import { describe, expect, it } from 'vitest'
import { bindingRequest, mappedAddress, transactionOf } from '../udp/stun.ts'
import { answerAsSeen, withIntegrity } from './ice-answer.node.ts'

/** RFC 5769 sections 2.2 and 2.3: everything before MESSAGE-INTEGRITY, and the whole. */
const PASSWORD = 'VOkJxbRl1RmTxUk/WvJxBt'
const PLACES = [
  {
    place: { host: '192.0.2.1', port: 32_853 },
    content: '0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643',
    end: '000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96',
  },
  {
    place: { host: '2001:db8:1234:5678:11:2233:4455:6677', port: 32_853 },
    content:
      '010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9',
    end: '00080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c',
  },
] as const

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))

describe('the answer to a caller’s check', () => {
  it.each(PLACES)('is protected as the vector of RFC 5769 for $place.host', ({ content, end }) => {
    expect(Buffer.from(withIntegrity(bytesOf(content), PASSWORD)).toString('hex')).toBe(content + end)
  })

  it.each(PLACES)('tells $place.host where it comes from, whatever the library saw', ({ place, content, end }) => {
    for (const { place: seen } of PLACES) {
      const answer = answerAsSeen(bytesOf(content + end), seen, PASSWORD)
      if (answer === null) throw new Error(`none for ${place.host}`)
      expect(mappedAddress(answer, transactionOf(bytesOf(content)))).toEqual(seen)
      const withoutEnd = answer.subarray(0, answer.length - 32)
      expect(answer).toEqual(withIntegrity(withoutEnd, PASSWORD))
    }
  })

  it('is none where the datagram is something else', () => {
    const [{ place }] = PLACES
    for (const bytes of [new Uint8Array(0), Uint8Array.of(22, 254, 253), bindingRequest(new Uint8Array(12))])
      expect(answerAsSeen(bytes, place, PASSWORD)).toBeNull()
    expect(answerAsSeen(bytesOf(PLACES[0].content), { host: 'not-an-ip', port: 1 }, PASSWORD)).toBeNull()
  })
})
