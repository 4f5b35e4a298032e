/** The process of the soak whose peers are pages, each in a profile of its own, in a real Chromium. It ends with the run. */
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { chromium, type Page } from 'playwright-core'
import { CHROMIUM, CHROMIUM_FLAGS } from '../../test/browser/chromium.fixtures.ts'
import { pageServer } from '../../test/browser/page-server.fixtures.ts'
import type { SoakPage } from './soak-page.ts'
import type { SoakOrder, SoakWord } from './soak-words.ts'

declare const soak: SoakPage

const server = await pageServer('http', readFileSync(new URL('./soak-page.js', import.meta.url), 'utf8'))
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  headless: true,
  args: [...CHROMIUM_FLAGS, '--js-flags=--expose-gc', '--enable-precise-memory-info'],
})
const pages: Page[] = []

process.on('disconnect', () => process.exit())
process.on('message', async message => {
  // reason: the run alone sends, and always this.
  const { begin = [], count, ...known } = message as SoakOrder
  const opened = await Promise.all(begin.map(openPage))
  for (const [i, slot] of begin.entries()) give(opened[i], { ...known, begin: [slot] })
  for (const page of pages) give(page, count && page === pages[0] ? { ...known, count } : known)
  pages.push(...opened)
})

async function openPage(): Promise<Page> {
  const context = await browser.newContext()
  const page = await context.newPage()
  page.on('pageerror', error => say({ kind: 'trouble', what: `page broke: ${error.stack ?? error.message}` }))
  await page.exposeFunction('say', say)
  // reason: a server that listens on a port has an address with one.
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  await page.waitForFunction('globalThis.soak !== undefined')
  return page
}

function give(page: Page | undefined, order: SoakOrder): void {
  page?.evaluate(given => soak.take(given), order).catch(error => say({ kind: 'trouble', what: `page: ${error}` }))
}

function say(word: SoakWord): void {
  if (process.connected) process.send?.(word)
}
