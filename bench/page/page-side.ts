/** What `wires-of-a-page.ts` measures, in the page. */
import { type Address, parseAddress } from '../../src/core/base/address.ts'
import { WIRE_QUEUE_BYTES_MAX } from '../../src/core/limits.ts'
import { Mesh } from '../../src/index.browser.ts'
import { webRtcDriver, webRtcNegotiator } from '../../src/paths/webrtc/webrtc.browser.ts'
import { webSocketDriver } from '../../src/paths/websocket/websocket-driver.browser.ts'
import type { Wire, WireDriver, WireSink } from '../../src/paths/wire-driver.ts'

export interface PageSide {
  /** Milliseconds from the dial until the wire is open. */
  openWire(address: string): Promise<number>
  /** Milliseconds from the start of a new peer, which joins by the address, until its first byte came back. */
  joinAndEcho(address: string, peer: string): Promise<number>
  /** Opens a wire to an address, or answers an offer: what is to be told to the offerer. It is the one that the two below use. */
  call(address: string): Promise<void>
  answer(offer: readonly number[]): Promise<readonly number[]>
  /** Resolves when so many bytes have come over the wire. */
  take(bytes: number): Promise<void>
  give(bytes: number): void
  hangUp(): void
  /** Megabytes a second to and from a peer that is joined by the address. */
  bulk(address: string, peer: string, bytes: number): Promise<{ up: number; down: number }>
}

function driverOf({ scheme }: Address): WireDriver {
  const driver = scheme === 'webrtc' ? webRtcDriver() : webSocketDriver()
  if (driver === null) throw new Error('no WebRTC here')
  return driver
}

let wire: Wire | null = null
let taken = 0
let written = 0
let onTaken = (): void => {}
let onWritten = (): void => {}

/** The sink of the wire under measurement. */
function sink(onOpen: () => void): WireSink {
  taken = 0
  written = 0
  return {
    onOpen,
    onFrames(bytes) {
      taken += bytes.length
      onTaken()
    },
    onWritten(bytes) {
      written += bytes
      onWritten()
    },
    onClosed() {},
  }
}

const side: PageSide = {
  call(text) {
    const address = parseAddress(text)
    if (!address.ok) throw new Error(text)
    return new Promise(resolve => {
      wire = driverOf(address.value).open(address.value, sink(resolve))
    })
  },
  answer(offer) {
    const negotiator = webRtcNegotiator()
    if (negotiator === null) throw new Error('no WebRTC here')
    return new Promise(resolve => {
      const onDescribed = (description: Uint8Array): void => resolve([...description])
      wire = negotiator.prepare(Uint8Array.from(offer), [], { ...sink(() => {}), onDescribed })
    })
  },
  take(bytes) {
    return new Promise(resolve => {
      onTaken = () => {
        if (taken >= bytes) resolve()
      }
      onTaken()
    })
  },
  give(bytes) {
    const frame = new Uint8Array(65_536)
    new DataView(frame.buffer).setUint32(0, frame.length - 4)
    let sent = 0
    onWritten = () => {
      for (; sent < bytes && sent - written < WIRE_QUEUE_BYTES_MAX; sent += frame.length)
        wire?.send([frame], frame.length)
    }
    onWritten()
  },
  hangUp: () => wire?.hangUp(),

  async openWire(text) {
    const address = parseAddress(text)
    if (!address.ok) throw new Error(text)
    const begun = performance.now()
    let opened: Wire | null = null
    let took = 0
    await new Promise<void>((resolve, reject) => {
      opened = driverOf(address.value).open(address.value, {
        onOpen() {
          took = performance.now() - begun
          opened?.hangUp()
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
