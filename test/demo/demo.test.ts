/** `webmesh demo` from outside: what it claims, in its own events, and what it leaves behind. */
import { afterEach, describe, expect, it } from 'vitest'
import { DEMO_LIMIT_MS, DemoProcess, isRunning } from './demo-process.fixtures.ts'

let started: DemoProcess | null = null

function start(): DemoProcess {
  started = new DemoProcess()
  return started
}

afterEach(async () => {
  await started?.kill()
  started = null
})

describe('webmesh demo', () => {
  it('keeps every promise within 30 seconds, and leaves no process behind', { timeout: 90_000 }, async () => {
    const demo = start()
    const { code, tookMs } = await demo.ended
    const { events } = demo
    expect(demo.stderr).toBe('')
    expect(events.at(-1)).toEqual({ event: 'done', ok: true })
    expect(code).toBe(0)
    expect(tookMs).toBeLessThan(DEMO_LIMIT_MS)

    // Eight peers, each a process; half accept nothing; all came in through the first.
    const [first, ...more] = demo.all('started')
    expect(more).toEqual([])
    expect(first?.listening).toEqual([expect.stringMatching(/^tcp:\/\/127\.0\.0\.1:\d+$/)])
    const joined = demo.all('joined')
    expect(joined.map(event => event.through)).toEqual(Array(7).fill(first?.peer))
    expect(joined.filter(event => event.listens === true)).toHaveLength(3)
    const others = joined.map(event => event.peer)
    expect(new Set([first?.peer, ...others]).size).toBe(8)
    expect(new Set([process.pid, ...[first, ...joined].map(event => event?.pid)]).size).toBe(9)

    // Found by the name of the service.
    expect(demo.all('discovered').map(event => event.members)).toEqual(Array(8).fill(7))

    // A stream between two that cannot reach each other, over others.
    const hidden = joined.filter(event => event.listens === false).map(event => event.peer)
    const stream = demo.all('stream')[0]
    expect(hidden).toContain(stream?.from)
    expect(hidden).toContain(stream?.to)
    expect(stream?.from).not.toBe(stream?.to)
    // reason: the shape is what is checked next.
    const path = stream?.path as { kind: string; via: string[] }
    expect(path.kind).toBe('circuit')
    expect(path.via.length).toBeGreaterThan(0)
    for (const peer of path.via) expect([first?.peer, ...others]).toContain(peer)
    expect(path.via).not.toContain(stream?.from)
    expect(path.via).not.toContain(stream?.to)

    // A broadcast reached all; then the first was killed; the rest are one whole, and each is a way in.
    expect(demo.all('killed').map(event => event.peer)).toEqual([first?.peer])
    expect(demo.all('broadcast').map(event => event.reached)).toEqual([7, 6])
    expect(demo.all('one-whole').map(event => event.pairs)).toEqual([7 * 6])
    const ways = demo.all('joined-later').map(event => event.through)
    expect(ways).toHaveLength(7)
    expect(new Set(ways)).toEqual(new Set(others))
    const order = events.map(event => event.event)
    expect(order.indexOf('broadcast')).toBeLessThan(order.indexOf('killed'))
    expect(order.indexOf('killed')).toBeLessThan(order.indexOf('one-whole'))

    expect(await demo.lingering()).toEqual([])
  })

  // In the middle of what it was asked, and while nothing is asked of it.
  it.each([
    ['joined', 7],
    ['joined-later', 1],
  ])(
    'fails when one of its peers dies unasked (after "%s"), says which, and takes the others along',
    async (event, count) => {
      const demo = start()
      await demo.until(event, count)
      const victim = demo.all('joined').at(-1)
      // reason: a process that told its event has a number.
      process.kill(victim?.pid as number, 'SIGKILL')
      expect((await demo.ended).code).toBe(1)
      expect(demo.all('error')).toEqual([
        { event: 'error', code: 'failed', message: expect.stringContaining(`process of ${victim?.name} ended`) },
      ])
      expect(demo.all('done')).toEqual([])
      expect(await demo.lingering()).toEqual([])
    },
  )

  it.each(['SIGKILL', 'SIGINT', 'SIGTERM'] as const)('leaves no process behind after %s in the middle', async name => {
    const demo = start()
    await demo.until('discovered', 8)
    expect(demo.peerPids.filter(isRunning)).toHaveLength(8)
    demo.signal(name)
    expect((await demo.ended).code).not.toBe(0)
    expect(await demo.lingering()).toEqual([])
  })
})
