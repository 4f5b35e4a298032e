/** The page that a listening port serves, in real Chromium: as the build made it. */
import type { AddressInfo } from 'node:net'
import { chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Mesh as MeshType } from '../../src/index.node.ts'
import { CHROMIUM, CHROMIUM_FLAGS, NAMES, noChromium } from './chromium.fixtures.ts'
import { serverFor } from './page-server.fixtures.ts'

// reason: the page's script is there only where the build is, beside the port that serves it.
const { Mesh } = (await import('../../dist/index.node.js' as string)) as typeof import('../../src/index.node.ts')

const skip = noChromium !== null && process.env.CI === undefined

describe.skipIf(skip)('the page of a port', () => {
  let browser: Awaited<ReturnType<typeof chromium.launch>>
  let mesh: MeshType
  const errors: string[] = []

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: [...CHROMIUM_FLAGS, NAMES] })
    mesh = await Mesh.start({ listen: ['127.0.0.1:0'] })
  })
  afterAll(async () => {
    await browser?.close()
    await mesh?.close()
  })

  async function open(url: string, width = 900): Promise<Page> {
    const context = await browser.newContext({ viewport: { width, height: 900 } })
    const page = await context.newPage()
    page.on('pageerror', error => errors.push(String(error)))
    page.on('request', request => {
      if (!request.url().startsWith(origin())) errors.push(`asked ${request.url()}`)
    })
    await page.goto(url)
    await page.waitForSelector('#state[data-is=in]')
    return page
  }

  function origin(): string {
    return mesh.listening[0]?.replace('tcp://', 'http://') ?? ''
  }

  async function say(page: Page, text: string): Promise<void> {
    await page.fill('#text', text)
    await page.press('#text', 'Enter')
  }

  it('is a peer: tabs chat, the second by the invite of the first, and go on when the port is gone', async () => {
    const first = await open(origin())
    await expect.poll(() => first.textContent('#id')).toMatch(/^[0-9a-f]{64}$/)
    const id = (await first.textContent('#id')) ?? ''
    // Its ref names who to reach it through once it has told.
    await expect.poll(async () => (await first.getAttribute('#invite', 'href'))?.length ?? 0).toBeGreaterThan(200)
    const second = await open((await first.getAttribute('#invite', 'href')) ?? '', 360)
    await expect.poll(() => second.textContent('#links'), { timeout: 15_000 }).toContain(id.slice(0, 8))
    await expect.poll(() => second.textContent('#links'), { timeout: 15_000 }).toContain('WebRTC, directly')
    await expect.poll(() => first.textContent('#members'), { timeout: 10_000 }).toBe('with 1 other')
    await expect.poll(() => first.textContent('.figure'), { timeout: 15_000 }).toBe('2 peers')
    expect(await first.isVisible('#port')).toBe(false)
    await say(first, 'hello <b>there</b>')
    await expect.poll(() => second.textContent('#log'), { timeout: 10_000 }).toContain('hello <b>there</b>')
    await mesh.close()
    await say(second, 'still here')
    await expect.poll(() => first.textContent('#log'), { timeout: 10_000 }).toContain('still here')
    await expect.poll(() => first.isVisible('#port'), { timeout: 15_000 }).toBe(true)
    const overflow = await second.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    expect(overflow).toBeLessThanOrEqual(0)
    expect(errors).toEqual([])
  }, 60_000)

  it('joins by WebRTC where it came over https, through a proxy that knows of nothing but HTTP', async () => {
    const behind = await Mesh.start({ listen: ['127.0.0.1:0'] })
    const inner = behind.listening[0]?.replace('tcp://', 'http://') ?? ''
    const proxy = serverFor('https', (request, response) => {
      fetch(`${inner}${request.url}`).then(async answer => {
        const body = Buffer.from(await answer.arrayBuffer())
        response.writeHead(answer.status, {
          'content-type': answer.headers.get('content-type') ?? '',
          'content-security-policy': answer.headers.get('content-security-policy') ?? '',
        })
        response.end(body)
      })
    })
    await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
    // reason: a server that listens on a port has an address with one.
    const { port } = proxy.address() as AddressInfo
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    const page = await context.newPage()
    await page.goto(`https://peer.test:${port}/`)
    await page.waitForSelector('#state[data-is=in]')
    await expect.poll(() => page.textContent('#links'), { timeout: 10_000 }).toContain('WebRTC, directly')
    const id = (await page.textContent('#id')) ?? ''
    expect(behind.status().links.map(link => link.peer)).toContain(id)
    await context.close()
    await behind.close()
    proxy.closeAllConnections()
    await new Promise(resolve => proxy.close(resolve))
  }, 30_000)
})
