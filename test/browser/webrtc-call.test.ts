/** WebRTC to an address: a real Chromium calls, Node takes the call. */
import { createSocket } from 'node:dgram'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Address } from '../../src/core/base/address.ts'
import { textOfBase64url } from '../../src/core/base/base64url.ts'
import { type DtlsCertificate, makeCertificate, readCertificate } from '../../src/paths/webrtc/dtls-certificate.node.ts'
import { openWebRtcPort, type WebRtcPort } from '../../src/paths/webrtc/webrtc-port.node.ts'
import { dial, frameOf, type Place, until, WireEndOfTest, wireContract } from '../../src/paths/wire-contract.ts'
import type { Acceptor } from '../../src/paths/wire-driver.ts'
import { ChromiumPage, noChromium } from './chromium.fixtures.ts'
import { PageDriver } from './page-driver.fixtures.ts'

const skip = noChromium !== null && process.env.CI === undefined

function newCertificate(): DtlsCertificate {
  const certificate = readCertificate(makeCertificate())
  if (certificate === null) throw new Error('no certificate')
  return certificate
}

async function listen(
  accept: Acceptor,
  certificate = newCertificate(),
): Promise<Place & { readonly port: WebRtcPort }> {
  const port = await openWebRtcPort({ host: '127.0.0.1', port: 0, certificate, accept })
  if (port === null) throw new Error('no port')
  const extra = textOfBase64url(certificate.hash)
  return {
    port,
    address: { scheme: 'webrtc', host: '127.0.0.1', port: port.port, extra },
    close: () => port.close(),
  }
}

/** A port of UDP at which somebody listens and says nothing. */
async function silentPlace(): Promise<Place> {
  const socket = createSocket('udp4')
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  return {
    address: { scheme: 'webrtc', host: '127.0.0.1', port: socket.address().port, extra: 'A'.repeat(43) },
    close: () => new Promise(resolve => socket.close(() => resolve())),
  }
}

describe.skipIf(skip)('called by Chromium', () => {
  let browser: ChromiumPage
  let pages: PageDriver

  beforeAll(async () => {
    browser = await ChromiumPage.open()
    pages = await PageDriver.of(browser.page)
  })
  afterAll(() => browser?.close())

  wireContract('WebRTC', {
    driver: timeoutMs => pages.driver(timeoutMs),
    listen,
    async closedPlace() {
      const { address, close } = await silentPlace()
      await close()
      return address
    },
    closedIsSilent: true,
    silentPlace,
    async sendRaw(address, bytes, then) {
      const end = dial(pages.driver(), address)
      end.send(bytes)
      await end.opened
      if (then === 'end') end.hangUp()
      await end.closed
    },
  })

  it('both ends are bound to the same two certificates, and no two wires alike', async () => {
    const accepted: WireEndOfTest[] = []
    const place = await listen(wire => {
      const end = new WireEndOfTest()
      end.wire = wire
      accepted.push(end)
      return end
    })
    const bindings: (Uint8Array | undefined)[] = []
    for (const i of [0, 1]) {
      const end = dial(pages.driver(), place.address)
      const { binding } = await end.opened
      await until(() => accepted.length > i)
      expect((await accepted[i]!.opened).binding).toEqual(binding)
      expect(binding).toHaveLength(64)
      bindings.push(binding)
      end.hangUp()
      await accepted[i]!.closed
    }
    expect(bindings[0]).not.toEqual(bindings[1])
    expect(bindings[0]?.subarray(32)).toEqual(bindings[1]?.subarray(32))
    await place.close()
  })

  it('a call by the wrong hash fails at once, and begins no other one', async () => {
    const place = await listen(() => new WireEndOfTest())
    const wrong: Address = { ...place.address, extra: 'A'.repeat(43) }
    const before = performance.now()
    const end = dial(pages.driver(), wrong)
    expect(await end.closed).toEqual({ code: 'dial-failed', detail: 'another certificate than was told' })
    expect(performance.now() - before).toBeLessThan(2_000)
    await until(() => place.port.counts.opening === 0)
    // The port is as good as before.
    const good = dial(pages.driver(), place.address)
    await good.opened
    // The page may know it first.
    await until(() => place.port.counts.open === 1)
    expect(place.port.counts).toEqual({ opening: 0, open: 1, refused: 0 })
    good.hangUp()
    await place.close()
    expect(place.port.counts).toEqual({ opening: 0, open: 0, refused: 0 })
  })

  it('a wire outlives the port that took it', async () => {
    const accepted: WireEndOfTest[] = []
    const place = await listen(wire => {
      const end = new WireEndOfTest()
      end.wire = wire
      accepted.push(end)
      return end
    })
    const end = dial(pages.driver(), place.address)
    await end.opened
    await until(() => accepted.length === 1)
    const closed = place.close()
    end.send(frameOf(Uint8Array.of(7)))
    await accepted[0]!.received(1)
    end.hangUp()
    await closed
  })
})
