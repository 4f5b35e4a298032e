import { describe, expect, it } from 'vitest'
import { bindingOf, calledAt, callerOf } from './rtc-call.ts'
import { descriptionOfSdp, sdpOf } from './rtc-description.ts'

const HASH = Uint8Array.from({ length: 32 }, (_, i) => i)
const ADDRESS = {
  scheme: 'webrtc',
  host: '2001:db8::1',
  port: 4100,
  extra: Buffer.from(HASH).toString('base64url'),
} as const
const PWD = 'abcdefghijklmnopqrstuv'

describe('a WebRTC call to an address', () => {
  it('makes up what the called end would answer, which SDP carries whole', () => {
    const called = calledAt(ADDRESS, PWD)
    expect(called).toEqual({
      ufrag: `webmesh1${PWD}`,
      pwd: PWD,
      certificateHash: HASH,
      candidates: [{ kind: 'host', host: '2001:db8::1', port: 4100 }],
    })
    expect(descriptionOfSdp(sdpOf(called, 'called'))).toEqual(called)
    expect(sdpOf(called, 'called')).toContain('a=setup:passive')
  })

  it('tells the called end what it needs of the caller, in its own user name', () => {
    const caller = callerOf('abcd', calledAt(ADDRESS, PWD).ufrag)
    expect(caller).toMatchObject({ ufrag: 'abcd', pwd: PWD, candidates: [] })
    expect(sdpOf(caller!, 'caller')).toContain('a=setup:active')
  })

  it.each([
    ['abcd', PWD],
    ['abcd', `webmesh2${PWD}`],
    ['abcd', `webmesh1${PWD.slice(1)}`],
    ['abcd', `webmesh1${'a'.repeat(129)}`],
    ['abcd', `webmesh1${PWD}\r\n`],
    ['abc', `webmesh1${PWD}`],
    ['abcd\r\na=b', `webmesh1${PWD}`],
  ])('is none by the names %j, %j', (caller, called) => {
    expect(callerOf(caller, called)).toBeNull()
  })

  it('binds to both certificates, and to who called', () => {
    const other = new Uint8Array(32).fill(9)
    expect(bindingOf(HASH, other)).toEqual(Uint8Array.of(...HASH, ...other))
  })
})
