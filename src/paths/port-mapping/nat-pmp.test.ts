import { describe, expect, it } from 'vitest'
import { addressRequest, mappingRequest, readAddressAnswer, readMappingAnswer } from './nat-pmp.ts'

const port = { transport: 'udp', port: 4101 } as const
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

describe('NAT-PMP', () => {
  it('asks as RFC 6886 lays it out', () => {
    expect(addressRequest()).toEqual(bytesOf('0000'))
    expect(mappingRequest(port, 4101, 7200)).toEqual(bytesOf('0001 0000 1005 1005 00001c20'))
    expect(mappingRequest({ transport: 'tcp', port: 4100 }, 9, 0)).toEqual(bytesOf('0002 0000 1004 0000 00000000'))
  })

  it('reads what the gateway tells', () => {
    expect(readAddressAnswer(bytesOf('0080 0000 00000063 052d6401'))).toEqual({ kind: 'told', value: '5.45.100.1' })
    const mapping = readMappingAnswer(bytesOf('0081 0000 00000063 1005 2710 00000e10'), port)
    expect(mapping).toEqual({ kind: 'told', value: { port: 10_000, seconds: 3_600 } })
  })

  it('reads a refusal', () => {
    const why = 'it has no connection of its own'
    expect(readAddressAnswer(bytesOf('0080 0003 00000063'))).toEqual({ kind: 'refused', why })
    expect(readMappingAnswer(bytesOf('0081 00ff 00000063'), port)).toEqual({ kind: 'refused', why: 'result 255' })
  })

  it('takes nothing for an answer that is cut, of another question or port', () => {
    const whole = bytesOf('0081 0000 00000063 1005 2710 00000e10')
    for (let length = 0; length < whole.length; length += 1)
      expect(readMappingAnswer(whole.subarray(0, length), port)).toBeNull()
    expect(readMappingAnswer(whole, { transport: 'tcp', port: 4101 })).toBeNull()
    expect(readMappingAnswer(whole, { transport: 'udp', port: 4102 })).toBeNull()
    expect(readAddressAnswer(whole)).toBeNull()
    expect(readAddressAnswer(bytesOf('0080 0000 00000063 052d64'))).toBeNull()
  })
})
