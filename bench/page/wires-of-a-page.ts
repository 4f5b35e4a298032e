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
import { Mesh } from '../../src/index.node.ts'
import { CHROMIUM, CHROMIUM_FLAGS } from '../../test/browser/chromium.fixtures.ts'
import type { PageSide } from './page-side.ts'

declare const side: PageSide

const [rounds = 20, megabytes = 64] = process.argv.slice(2).map(Number)
const WARM_ROUNDS = 3

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
await browser.close()
await mesh.close()
server.close()

/** Median, and the range. */
function spread(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (index: number): string => (sorted[index] ?? 0).toFixed(0)
  return `${at(sorted.length >> 1)} (${at(0)} to ${at(sorted.length - 1)})`
}
