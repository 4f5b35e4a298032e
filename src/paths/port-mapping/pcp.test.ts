import { describe, expect, it } from 'vitest'
import { pcpRequest, readPcpAnswer } from './pcp.ts'

const nonce = Uint8Array.from({ length: 12 }, (_, i) => i + 1)
const port = { transport: 'tcp', port: 4100 } as const
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** As RFC 6887 draws it (figures 2, 3 and 10), written out by hand. */
const HEADER = '0201 0000 00001c20 00000000000000000000ffff0a000002'
const MAP = '0102030405060708090a0b0c 06 000000 1004 1004 00000000000000000000ffff00000000'
const ANSWER = '0281 0000 00000e10 00000063 000000000000000000000000'
const GRANTED = '0102030405060708090a0b0c 06 000000 1004 2710 00000000000000000000ffff052d6401'
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

describe('PCP', () => {
  it('asks for a mapping as RFC 6887 lays it out', () => {
    const asked = pcpRequest({ nonce, ownHost: '10.0.0.2', port, wanted: 4100, seconds: 7200 })
    expect(hex(asked)).toBe((HEADER + MAP).replaceAll(' ', ''))
  })

  it('asks for a hole to an address of IPv6, and reads that it was made', () => {
    const ownHost = '2001:db8::2'
    const asked = hex(pcpRequest({ nonce, ownHost, port, wanted: 4100, seconds: 7200 }))
    const own = '20010db8000000000000000000000002'
    expect(asked.slice(16, 48)).toBe(own)
    expect(asked.slice(88)).toBe('0'.repeat(32))
    const granted = bytesOf(`${ANSWER}0102030405060708090a0b0c 06 000000 1004 1004 ${own}`)
    const answer = { kind: 'granted', host: '2001:db8:0:0:0:0:0:2', port: 4_100, seconds: 3_600 }
    expect(readPcpAnswer(granted, { nonce, port })).toEqual(answer)
  })

  it('suggests nothing where the mapping is to end', () => {
    const asked = pcpRequest({ nonce, ownHost: '10.0.0.2', port, wanted: 4100, seconds: 0 })
    expect(hex(asked.subarray(42, 44))).toBe('0000')
    expect(hex(asked.subarray(4, 8))).toBe('00000000')
  })

  it('reads what was granted', () => {
    const answer = { kind: 'granted', host: '5.45.100.1', port: 10_000, seconds: 3_600 }
    expect(readPcpAnswer(bytesOf(ANSWER + GRANTED), { nonce, port })).toEqual(answer)
  })

  it('reads a refusal, and that of a gateway that knows NAT-PMP alone', () => {
    const refused = bytesOf(ANSWER + GRANTED)
    refused[3] = 2
    expect(readPcpAnswer(refused, { nonce, port })).toEqual({ kind: 'refused', why: 'it does not allow it' })
    expect(readPcpAnswer(bytesOf('0081 0001 00000063'), { nonce, port })).toEqual({ kind: 'other-version' })
  })

  it('takes nothing for an answer that is cut, of another nonce, port or transport, or a request', () => {
    const whole = bytesOf(ANSWER + GRANTED)
    for (let length = 0; length < whole.length; length += 1)
      expect(readPcpAnswer(whole.subarray(0, length), { nonce, port })).toBeNull()
    expect(readPcpAnswer(whole, { nonce: nonce.toReversed(), port })).toBeNull()
    expect(readPcpAnswer(whole, { nonce, port: { transport: 'tcp', port: 4101 } })).toBeNull()
    expect(readPcpAnswer(whole, { nonce, port: { transport: 'udp', port: 4100 } })).toBeNull()
    expect(readPcpAnswer(bytesOf(HEADER + MAP), { nonce, port })).toBeNull()
  })
})
