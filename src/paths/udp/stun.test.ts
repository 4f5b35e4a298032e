import { describe, expect, it } from 'vitest'
import { bytesOfIp, ipOfBytes, mayBeSentTo, plainIp } from './ip-address.ts'
import { answerTo, bindingRequest, isStun, mappedAddress } from './stun.ts'

const TRANSACTION = Uint8Array.from(Buffer.from('b7e7a701bc34d686fa87dfae', 'hex'))
/** RFC 5769, sections 2.2 and 2.3, with their other attributes; the integrity checks left out. */
const ANSWERS = [
  ['192.0.2.1', `0101001c 2112a442 b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220 002000080001a147e112a643`],
  [
    '2001:db8:1234:5678:11:2233:4455:6677',
    `01010028 2112a442 b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220 002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9`,
  ],
] as const

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

describe('STUN', () => {
  it.each(ANSWERS)('reads the published answers: %s', (host, hex) => {
    const bytes = bytesOf(hex)
    expect(mappedAddress(bytes, TRANSACTION)).toEqual({ host, port: 32_853 })
    expect(
      mappedAddress(
        bytes,
        TRANSACTION.map(byte => byte ^ 1),
      ),
    ).toBeNull()
  })

  it.each([
    ['192.0.2.1', 32_853],
    ['2001:db8:1234:5678:11:2233:4455:6677', 1],
  ])('answers with the address that a request came from: %s', (host, port) => {
    const answer = answerTo(bindingRequest(TRANSACTION), { host, port })
    expect(answer).not.toBeNull()
    expect(mappedAddress(answer!, TRANSACTION)).toEqual({ host, port })
    // Who sends with somebody else's address makes no flood of it.
    expect(answer!.length).toBeLessThanOrEqual(2.2 * bindingRequest(TRANSACTION).length)
  })

  it('answers nothing but requests, and survives what was cut or is longer than it says', () => {
    const answer = answerTo(bindingRequest(TRANSACTION), { host: '192.0.2.1', port: 1 })!
    expect(answerTo(answer, { host: '192.0.2.1', port: 1 })).toBeNull()
    for (let length = 0; length < answer.length; length += 1) {
      expect(mappedAddress(answer.subarray(0, length), TRANSACTION)).toBeNull()
      expect(isStun(answer.subarray(0, length))).toBe(length >= 20)
    }
    const lying = answer.slice()
    lying[23] = 255
    expect(mappedAddress(lying, TRANSACTION)).toBeNull()
  })
})

describe('an IP address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:DB8::1', '2001:db8:0:0:0:0:0:1'],
    ['::', '0:0:0:0:0:0:0:0'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ])('has one text: %s', (given, plain) => {
    expect(plainIp(given)).toBe(plain)
    expect(plainIp(ipOfBytes(bytesOfIp(plain)!))).toBe(plain)
  })

  it.each([
    '',
    '1.2.3',
    '1.2.3.256',
    'a.b.c.d',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    ':::',
    '12345::',
    'x::',
    'example.org',
  ])('is not: "%s"', given => expect(plainIp(given)).toBeNull())

  it('of loopback, of nobody, of many is no place to send to', () => {
    for (const ip of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])
      expect([mayBeSentTo(ip, false), mayBeSentTo(ip, true)]).toEqual([false, true])
    for (const ip of ['0.0.0.0', '224.0.0.1', '255.255.255.255', '::', 'ff02::1', 'name'])
      expect(mayBeSentTo(ip, true)).toBe(false)
    for (const ip of ['192.0.2.1', '10.0.0.1', '2001:db8::1']) expect(mayBeSentTo(ip, false)).toBe(true)
  })
})
