import { describe, expect, it } from 'vitest'
import { negotiatedContract } from '../wire-contract.ts'
import {
  descriptionOfSdp,
  type RtcDescription,
  readRtcDescription,
  sdpOf,
  withoutBadCandidates,
  writeRtcDescription,
} from './rtc-description.ts'
import { webRtcNegotiator } from './webrtc.node.ts'
import { WebRtcWire } from './webrtc-wire.ts'

negotiatedContract('WebRTC', () => webRtcNegotiator({ host: '127.0.0.1' }))

it('a channel that is found closed ends its wire after the call that found it, not inside of it', async () => {
  for (const call of ['send', 'hangUp'] as const) {
    let inside = false
    const closed = await new Promise<string>(resolve => {
      const wire = new WebRtcWire(() => ({
        onOpen: () => {},
        onFrames: () => {},
        onWritten: () => {},
        onClosed: ({ code }) => resolve(`${code}${inside ? ', inside' : ''}`),
      }))
      wire.attach({ send: () => false, bufferedBytes: () => 0, close: () => {} })
      wire.onOpen({ transport: 'webrtc', remote: '', remoteHost: '' })
      inside = true
      if (call === 'send') wire.send([new Uint8Array(8)])
      else wire.hangUp()
      inside = false
    })
    expect(closed).toBe(call === 'send' ? 'wire-lost' : 'closed')
  }
})

describe('what one end tells of itself', () => {
  const description: RtcDescription = {
    ufrag: 'ab12',
    pwd: 'abcdefghijklmnopqrstuv',
    certificateHash: Uint8Array.from({ length: 32 }, (_, i) => i),
    candidates: [
      { kind: 'host', host: '192.0.2.1', port: 50_000 },
      { kind: 'host', host: '0f3c9e.local', port: 50_001 },
      { kind: 'reflexive', host: '2001:db8::1', port: 1 },
    ],
  }

  it('is read as it was written, and comes through SDP unchanged', () => {
    const bytes = writeRtcDescription(description)
    expect(readRtcDescription(bytes)).toEqual(description)
    expect(descriptionOfSdp(sdpOf(description, 'offer'))).toEqual(description)
    expect(bytes.length).toBeLessThan(200)
  })

  it.each([
    ['a line break in a name', { candidates: [{ kind: 'host', host: 'a.local\r\na=x', port: 1 }] }],
    ['a host name of the DNS', { candidates: [{ kind: 'host', host: 'victim.example', port: 1 }] }],
    ['port 0', { candidates: [{ kind: 'host', host: '192.0.2.1', port: 0 }] }],
    ['a password with a line break', { pwd: 'abcdefghijklmnopqrst\r\n' }],
    ['a short user name', { ufrag: 'a' }],
  ] as const)('is refused with %s', (_, wrong) => {
    expect(readRtcDescription(writeRtcDescription({ ...description, ...wrong }))).toBeNull()
  })

  it.each([
    '127.0.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '999.1.1.1',
    '::1',
    '::',
    'ff02::1',
    '::ffff:127.0.0.1',
  ])('sends nobody to %s', host => {
    const bad = { kind: 'host', host, port: 1 } as const
    const told = { ...description, candidates: [bad, ...description.candidates] }
    expect(withoutBadCandidates(told, false).candidates).toEqual(description.candidates)
    expect(sdpOf(withoutBadCandidates(told, false), 'offer')).not.toContain(` ${host} 1 `)
  })

  it('names twelve places at most', () => {
    const candidates = Array.from({ length: 40 }, (_, i) => ({ kind: 'host' as const, host: '192.0.2.1', port: 1 + i }))
    expect(readRtcDescription(writeRtcDescription({ ...description, candidates }))?.candidates).toHaveLength(12)
  })
})
