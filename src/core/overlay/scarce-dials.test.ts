/** Which addresses a page dials whose host makes only so many WebRTC wires, and how many of them (spec 5.2). */
import { describe, expect, it } from 'vitest'
import { type Address, type AddressScheme, parseAddress } from '../base/address.ts'
import type { Instant } from '../base/instant.ts'
import { REF_LIFETIME_MS, signPeerRef } from '../crypto/peer-ref.ts'
import { nativeSuite } from '../crypto/suite.fixtures.ts'
import type { Input } from '../input.ts'
import { SCARCE_WIRES_BURST } from '../limits.ts'
import { createPeer } from '../peer.ts'

const WALL_TIME = 1_800_000_000_000
const HASH = 'A'.repeat(43)
const HOUR_MS = 3_600_000

function address(text: string): Address {
  const parsed = parseAddress(text)
  if (!parsed.ok) throw new Error(text)
  return parsed.value
}

/** A page whose dials nobody answers; what it dialled. */
class Page {
  readonly dialled: AddressScheme[] = []
  readonly failed: string[] = []
  private readonly peer
  private now: Instant = 0
  private next = 1

  constructor(dialable: readonly AddressScheme[]) {
    this.peer = createPeer({
      suite: nativeSuite,
      identity: nativeSuite.identity(new Uint8Array(32).fill(1)),
      seed: 1,
      wallTime: WALL_TIME,
      capacity: 12,
      relays: true,
      dialable,
      negotiates: [{ transport: 'webrtc', scarce: true, encrypts: true }],
    })
  }

  connect(number: number, ...texts: readonly string[]): void {
    const seed = new Uint8Array(32).fill(2)
    new DataView(seed.buffer).setUint32(0, number)
    const ref = signPeerRef(nativeSuite, nativeSuite.identity(seed), {
      sequence: WALL_TIME,
      expires: WALL_TIME + REF_LIFETIME_MS,
      capacity: 24,
      relays: true,
      addresses: texts.map(address),
      rendezvous: [],
    })
    const request = this.next++
    this.input({ kind: 'command', command: { kind: 'connect', request, target: { kind: 'ref', ref } } })
  }

  run(ms: number): void {
    const end = this.now + ms
    for (let wake = this.peer.nextWake(); wake !== null && wake <= end; wake = this.peer.nextWake()) {
      this.now = Math.max(wake, this.now)
      this.input({ kind: 'wake' })
    }
    this.now = end
  }

  private input(input: Input): void {
    for (const effect of this.peer.step(this.now, input)) {
      if (effect.kind === 'dial') this.dialled.push(effect.address.scheme)
      if (effect.kind === 'event' && effect.event.kind === 'failed') this.failed.push(effect.event.fault.code)
    }
  }
}

const ALL = ['tcp://192.0.2.1:1', 'ws://192.0.2.1:1', `webrtc://192.0.2.1:1/${HASH}`]

describe('a page', () => {
  it.each([
    ['over http dials ws:// alone', ['wss', 'ws', 'webrtc'], ALL, 'ws'],
    ['over https dials webrtc://', ['wss', 'webrtc'], ALL, 'webrtc'],
    ['over https dials wss:// alone', ['wss', 'webrtc'], [...ALL, 'wss://a.example:443'], 'wss'],
  ] as const)('%s', (_, dialable, told, scheme) => {
    const page = new Page(dialable)
    page.connect(1, ...told)
    page.run(20_000)
    expect([...new Set(page.dialled)]).toEqual([scheme])
    expect(page.failed).toHaveLength(1)
    // What costs nothing is tried again while a user waits.
    if (scheme === 'webrtc') expect(page.dialled).toHaveLength(1)
    else expect(page.dialled.length).toBeGreaterThan(1)
  })

  it('dials no more than its host can make, by far, and says so', () => {
    const page = new Page(['wss', 'webrtc'])
    for (let i = 0; i < 60; i += 1) {
      page.connect(i, ...ALL)
      page.run(1_000)
    }
    expect(page.dialled).toHaveLength(SCARCE_WIRES_BURST)
    page.run(20_000)
    expect(page.failed).toHaveLength(60)
    expect(page.failed).toContain('overloaded')
    for (let i = 0; i < 8 * 60; i += 1) {
      page.connect(100 + i, ...ALL)
      page.run(HOUR_MS / 60)
    }
    expect(page.dialled.length).toBeGreaterThan(90)
    expect(page.dialled.length).toBeLessThanOrEqual(101)
  })
})
