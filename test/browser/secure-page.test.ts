/** What a page that came over https can do: `ws://` is closed to it, `webrtc://` and `wss://` are not. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Mesh, type MeshOptions } from '../../src/index.node.ts'
import { ChromiumPage, noChromium } from './chromium.fixtures.ts'
import type { PageUnderTest } from './page.ts'

declare const page: PageUnderTest

const skip = noChromium !== null && process.env.CI === undefined

describe.skipIf(skip)('a page that came over https', () => {
  let browser: ChromiumPage
  const meshes: Mesh[] = []

  beforeAll(async () => {
    browser = await ChromiumPage.open('https')
  })
  afterEach(async () => {
    await browser.page.evaluate(() => page.close())
    await Promise.all(meshes.splice(0).map(mesh => mesh.close()))
  })
  afterAll(() => browser?.close())

  async function start(options: MeshOptions): Promise<Mesh> {
    const mesh = await Mesh.start(options)
    meshes.push(mesh)
    mesh.handle('echo', async stream => {
      for await (const chunk of stream) await stream.write(chunk)
    })
    return mesh
  }

  it('joins by the ref of a peer without any TLS certificate, finds a service there and exchanges data', async () => {
    const open = await start({ listen: ['127.0.0.1:0'] })
    const hidden = await start({ join: [open.ref] })
    const service = await hidden.join('chat.example/1')
    const heard: string[] = []
    service.addEventListener('message', event => heard.push(new TextDecoder().decode(event.data)))
    const id = await browser.page.evaluate(ref => page.start(ref, ''), open.ref)
    expect(await browser.page.evaluate(peer => page.pathTo(peer), open.id)).toBe('webrtc')
    expect((await open.ping(id)).path).toMatchObject({ kind: 'wire', transport: 'webrtc' })
    expect(await browser.page.evaluate(peer => page.echo(peer, 1_048_576), open.id)).toEqual({
      same: true,
      path: 'wire',
    })
    await browser.page.evaluate(() => page.join('chat.example/1'))
    await expect.poll(() => browser.page.evaluate(() => page.members()), { timeout: 10_000 }).toContain(hidden.id)
    await browser.page.evaluate(() => page.broadcast('from the page'))
    await expect.poll(() => heard, { timeout: 10_000 }).toContain('from the page')
    expect(browser.errors).toEqual([])
  }, 30_000)
})
