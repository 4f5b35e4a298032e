/**
 * What a page's ways to a peer cost beside each other, `ws://` and `webrtc://`, in a real Chromium on loopback, in turns.
 *
 *   npm run bench:page -- [ROUNDS] [MEGABYTES]
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { chromium } from 'playwright-core'
import { addressText } from '../../src/core/base/address.ts'
import { WIRE_QUEUE_BYTES_MAX } from '../../src/core/limits.ts'
import { Mesh } from '../../src/index.node.ts'
import type { NegotiatedSink } from '../../src/paths/negotiator.ts'
import { type DtlsCertificate, makeCertificate, readCertificate } from '../../src/paths/webrtc/dtls-certificate.node.ts'
import { webRtcNegotiator } from '../../src/paths/webrtc/webrtc.node.ts'
import { openWebRtcPort } from '../../src/paths/webrtc/webrtc-port.node.ts'
import type { Wire } from '../../src/paths/wire-driver.ts'
import { CHROMIUM, CHROMIUM_FLAGS } from '../../test/browser/chromium.fixtures.ts'
import type { PageSide } from './page-side.ts'

declare const side: PageSide

const [rounds = 20, megabytes = 64] = process.argv.slice(2).map(Number)
const WARM_ROUNDS = 3
const OPEN_MS = 20_000

const script = readFileSync(new URL('./page-side.js', import.meta.url))
const server = createServer((request, response) => {
  const isScript = request.url === '/page-side.js'
  response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
  response.end(isScript ? script : '<!doctype html><script type="module" src="/page-side.js"></script>')
})
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))

const mesh = await Mesh.start({ listen: ['127.0.0.1:0'] })
mesh.handle('echo', async stream => {
  for await (const chunk of stream) await stream.write(chunk)
})
mesh.handle('sink', async stream => {
  for await (const _ of stream);
  await stream.end()
})
mesh.handle('source', async stream => {
  let text = ''
  for await (const chunk of stream) text += Buffer.from(chunk).toString()
  const chunk = new Uint8Array(65_536)
  for (let sent = 0; sent < Number(text); sent += chunk.length) await stream.write(chunk)
  await stream.end()
})

const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: CHROMIUM_FLAGS })
const page = await browser.newPage()
// reason: a server that listens on a port has an address with one.
await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
await page.waitForFunction('globalThis.side !== undefined')

const ways = (['ws', 'webrtc'] as const).map(scheme => {
  const address = mesh.peerRef.addresses.find(other => other.scheme === scheme)
  if (address === undefined) throw new Error(`no ${scheme}`)
  return { scheme, text: addressText(address), opens: [] as number[], joins: [] as number[] }
})
for (let i = 0; i < WARM_ROUNDS + rounds; i += 1) {
  for (const { text, opens, joins } of ways) {
    const open = await page.evaluate(way => side.openWire(way), text)
    const join = await page.evaluate(([way, peer]) => side.joinAndEcho(way, peer), [text, mesh.id] as const)
    if (i < WARM_ROUNDS) continue
    opens.push(open)
    joins.push(join)
  }
}
console.log('| way | open, ms | start, join and first echoed byte, ms | MB/s up | MB/s down |')
console.log('| --- | --- | --- | --- | --- |')
for (const { scheme, text, opens, joins } of ways) {
  const bulk = await page.evaluate(([way, peer, bytes]) => side.bulk(way, peer, bytes), [
    text,
    mesh.id,
    megabytes * 1_000_000,
  ] as const)
  console.log(
    `| ${scheme}:// | ${spread(opens)} | ${spread(joins)} | ${bulk.up.toFixed(1)} | ${bulk.down.toFixed(1)} |`,
  )
}

console.log('\n| WebRTC wire without a session | MB/s up | MB/s down |')
console.log('| --- | --- | --- |')
const rates = { called: [] as Rate[], negotiated: [] as Rate[] }
const certificate = readCertificate(makeCertificate())
if (certificate === null) throw new Error('no certificate')
for (let i = 0; i < 3; i += 1) {
  for (const kind of ['called', 'negotiated'] as const) rates[kind].push(await measureWire(kind, certificate))
}
for (const [kind, each] of Object.entries(rates)) {
  const texts = (['up', 'down'] as const).map(way => each.map(rate => rate[way].toFixed(0)).join(', '))
  console.log(`| ${kind} | ${texts.join(' | ')} |`)
}
await browser.close()
await mesh.close()
server.close()

interface Rate {
  readonly up: number
  readonly down: number
}

/** `called` over the lanes of a port, `negotiated` over the library's own socket. */
async function measureWire(kind: 'called' | 'negotiated', shown: DtlsCertificate): Promise<Rate> {
  const bytes = megabytes * 1_000_000
  let wire: Wire | null = null
  let taken = 0
  let written = 0
  let onTaken = (): void => {}
  let onDescribed = (_: Uint8Array): void => {}
  let onOpen = (): void => {}
  let onClosed = (): void => {}
  const described = new Promise<Uint8Array>(resolve => {
    onDescribed = resolve
  })
  const opened = new Promise<void>(resolve => {
    onOpen = resolve
  })
  const closed = new Promise<void>(resolve => {
    onClosed = resolve
  })
  const sink: NegotiatedSink = {
    onDescribed,
    onOpen,
    onFrames(frames) {
      taken += frames.length
      onTaken()
    },
    onWritten(count) {
      written += count
    },
    onClosed,
  }
  // By an address of this machine that is not its loopback: a page takes no offer that leads to its own.
  const negotiator = webRtcNegotiator()
  const port = await openWebRtcPort({
    host: '127.0.0.1',
    port: 0,
    certificate: shown,
    accept(accepted) {
      wire = accepted
      return sink
    },
  })
  if (kind === 'called') {
    const text = `webrtc://127.0.0.1:${port?.port}/${Buffer.from(shown.hash).toString('base64url')}`
    await page.evaluate(address => side.call(address), text)
  } else {
    const offering = negotiator.prepare(null, [], sink)
    wire = offering
    const offer = [...(await described)]
    offering.proceed(Uint8Array.from(await page.evaluate(told => side.answer(told), offer)))
  }
  await Promise.race([opened, late(kind)])
  let since = performance.now()
  const allTaken = new Promise<void>(resolve => {
    onTaken = () => {
      if (taken >= bytes) resolve()
    }
  })
  await page.evaluate(count => side.give(count), bytes)
  await allTaken
  const up = bytes / 1_000 / (performance.now() - since)
  since = performance.now()
  const pageTook = page.evaluate(count => side.take(count), bytes)
  const frame = new Uint8Array(65_536)
  new DataView(frame.buffer).setUint32(0, frame.length - 4)
  for (let sent = 0; sent < bytes; sent += frame.length) {
    while (sent - written > WIRE_QUEUE_BYTES_MAX)
      await new Promise(resolve => setTimeout(resolve, 1))
      // reason: it is set by now, which the compiler cannot see through the callback.
    ;(wire as Wire | null)?.send([frame], frame.length)
  }
  await pageTook
  const down = bytes / 1_000 / (performance.now() - since)
  await page.evaluate(() => side.hangUp())
  await closed
  await negotiator.close()
  await port?.close()
  return { up, down }
}

/** Rejects where a wire is not open for too long, which no bench shall wait for. */
function late(kind: string): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`${kind}: no wire within ${OPEN_MS} ms`)), OPEN_MS).unref()
  })
}

/** Median, and the range. */
function spread(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (index: number): string => (sorted[index] ?? 0).toFixed(0)
  return `${at(sorted.length >> 1)} (${at(0)} to ${at(sorted.length - 1)})`
}
