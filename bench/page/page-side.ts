/** What `wires-of-a-page.ts` measures, in the page. */
import { type Address, parseAddress } from '../../src/core/base/address.ts'
import { Mesh } from '../../src/index.browser.ts'
import { webRtcDriver } from '../../src/paths/webrtc/webrtc.browser.ts'
import { webSocketDriver } from '../../src/paths/websocket/websocket-driver.browser.ts'
import type { Wire, WireDriver } from '../../src/paths/wire-driver.ts'

export interface PageSide {
  /** Milliseconds from the dial until the wire is open. */
  openWire(address: string): Promise<number>
  /** Milliseconds from the start of a new peer, which joins by the address, until its first byte came back. */
  joinAndEcho(address: string, peer: string): Promise<number>
  /** Megabytes a second to and from a peer that is joined by the address. */
  bulk(address: string, peer: string, bytes: number): Promise<{ up: number; down: number }>
}

function driverOf({ scheme }: Address): WireDriver {
  const driver = scheme === 'webrtc' ? webRtcDriver() : webSocketDriver()
  if (driver === null) throw new Error('no WebRTC here')
  return driver
}

const side: PageSide = {
  async openWire(text) {
    const address = parseAddress(text)
    if (!address.ok) throw new Error(text)
    const begun = performance.now()
    let wire: Wire | null = null
    let took = 0
    await new Promise<void>((resolve, reject) => {
      wire = driverOf(address.value).open(address.value, {
        onOpen() {
          took = performance.now() - begun
          wire?.hangUp()
        },
        onFrames() {},
        onWritten() {},
        onClosed: fault => (took > 0 ? resolve() : reject(new Error(fault.detail ?? fault.code))),
      })
    })
    return took
  },

  async joinAndEcho(address, peer) {
    const begun = performance.now()
    const mesh = await Mesh.start({ join: [address], tabs: false })
    const stream = await (await mesh.connect(peer)).open('echo')
    await stream.write(Uint8Array.of(1))
    for await (const chunk of stream) if (chunk.length > 0) break
    const took = performance.now() - begun
    await mesh.close()
    return took
  },

  async bulk(address, peer, bytes) {
    const mesh = await Mesh.start({ join: [address], tabs: false })
    const session = await mesh.connect(peer)
    const rate = (since: number): number => bytes / 1_000 / (performance.now() - since)
    let since = performance.now()
    const up = await session.open('sink')
    const chunk = new Uint8Array(65_536)
    for (let sent = 0; sent < bytes; sent += chunk.length) await up.write(chunk)
    await up.end()
    for await (const _ of up);
    const upRate = rate(since)
    since = performance.now()
    const down = await session.open('source')
    await down.write(new TextEncoder().encode(String(bytes)))
    await down.end()
    for await (const _ of down);
    const downRate = rate(since)
    await mesh.close()
    return { up: upRate, down: downRate }
  },
}

Object.assign(globalThis, { side })
