import { expect, it } from 'vitest'
import { type Address, addressText, parseAddress } from '../core/base/address.ts'
import type { PeerId } from '../core/base/peer-id.ts'
import type { PeerRef } from '../core/crypto/peer-ref.ts'
import { DialBack, type DialVerdict } from './dial-back.ts'
import { DialBackHelper } from './dial-back-stream.ts'
import type { MeshStream } from './mesh-stream.ts'

function at(text: string): Address {
  const address = parseAddress(text)
  if (!address.ok) throw new Error(text)
  return address.value
}

class TestClock {
  now = 0
  private timers: { readonly at: number; readonly task: () => void }[] = []

  monotonicNow(): number {
    return this.now
  }

  wallNow(): number {
    return this.now
  }

  setTimer(delayMs: number, task: () => void): () => void {
    const timer = { at: this.now + delayMs, task }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter(other => other !== timer)
    }
  }

  async pass(ms: number): Promise<void> {
    this.now += ms
    const due = this.timers.filter(timer => timer.at <= this.now)
    this.timers = this.timers.filter(timer => timer.at > this.now)
    for (const { task } of due) task()
    // What is asked is answered in microtasks.
    for (let i = 0; i < 20; i += 1) await Promise.resolve()
  }
}

const SIX = at('tcp://[2a02::7]:4100')

/** A peer with these helpers, each with its addresses and what it answers. */
function peerWith(
  helpers: Readonly<Record<string, { readonly places: readonly string[]; verdict: DialVerdict }>>,
  onAsk = (): void => {},
) {
  const clock = new TestClock()
  const asked: string[] = []
  let changes = 0
  const dialBack = new DialBack({
    clock,
    ownHosts: () => ['2a02::7', '10.0.0.2'],
    places: () => [SIX],
    // reason: nothing else of a ref is looked at.
    helpers: () =>
      Object.entries(helpers).map(([peer, { places }]) => ({ peer, addresses: places.map(at) }) as unknown as PeerRef),
    ask: async ({ peer }, place) => {
      asked.push(`${peer} ${addressText(place)}`)
      onAsk()
      return helpers[peer]!.verdict
    },
    onChange: () => {
      changes += 1
    },
  })
  return { clock, dialBack, asked, state: () => dialBack.view()[0]!.state, changes: () => changes }
}

it('a host is open as soon as one of three reaches it, and closed where two at least cannot and none can', async () => {
  const cases: readonly (readonly [readonly DialVerdict[], string])[] = [
    [['not-reached', 'not-reached', 'reached'], 'open'],
    [['not-reached', 'not-reached', 'not-tried'], 'closed'],
    [['not-reached', 'not-tried', 'not-tried'], 'unknown'],
    [['not-reached'], 'unknown'],
    [[], 'unknown'],
  ]
  for (const [verdicts, expected] of cases) {
    const helpers = verdicts.map((verdict, i) => [`h${i}`, { places: [`tcp://[2a0${i}::1]:1`], verdict }] as const)
    const { clock, dialBack, state, changes } = peerWith(Object.fromEntries(helpers))
    dialBack.onLink()
    await clock.pass(1_000)
    expect([verdicts, state()]).toEqual([verdicts, expected])
    expect(changes()).toBe(expected === 'unknown' ? 0 : 1)
  }
})

it('only peers that can have a way to such an address are asked, no three of one range where there are others', async () => {
  const { clock, dialBack, asked } = peerWith({
    four: { places: ['tcp://5.5.5.5:1'], verdict: 'not-reached' },
    near: { places: ['tcp://[fd00::1]:1'], verdict: 'not-reached' },
    a: { places: ['tcp://[2a01:1::1]:1'], verdict: 'not-tried' },
    b: { places: ['tcp://[2a01:1::2]:1'], verdict: 'not-tried' },
    c: { places: ['tcp://[2a01:1::3]:1'], verdict: 'not-tried' },
    d: { places: ['tcp://5.6.5.5:1', 'tcp://[2a03:1::3]:1'], verdict: 'not-tried' },
  })
  dialBack.onLink()
  await clock.pass(1_000)
  const names = asked.map(text => text.split(' ')[0]).sort()
  expect(names).toHaveLength(3)
  expect(names).toContain('d')
  expect(names.filter(name => 'abc'.includes(name ?? ''))).toHaveLength(2)
})

it('what was closed is looked at again, and nothing is known any more in another network', async () => {
  const helpers = {
    a: { places: ['tcp://[2a01::1]:1'], verdict: 'not-reached' as DialVerdict },
    b: { places: ['tcp://[2a03::1]:1'], verdict: 'not-reached' as DialVerdict },
  }
  const { clock, dialBack, asked, state, changes } = peerWith(helpers)
  dialBack.onLink()
  await clock.pass(1_000)
  expect(state()).toBe('closed')
  expect(dialBack.isClosed('2a02::7')).toBe(true)
  dialBack.onLink()
  await clock.pass(300_000)
  expect(asked).toHaveLength(2)
  helpers.a.verdict = 'reached'
  await clock.pass(300_000)
  expect([state(), changes()]).toEqual(['open', 2])
  dialBack.forget()
  expect(state()).toBe('unknown')
  helpers.a.verdict = 'not-reached'
  await clock.pass(1_000)
  expect(state()).toBe('closed')
  dialBack.close()
  await clock.pass(10_000_000)
  expect(asked).toHaveLength(6)
})

it('what was found in the network before says nothing of the one that the machine is in now', async () => {
  const helpers = {
    a: { places: ['tcp://[2a01::1]:1'], verdict: 'not-reached' as DialVerdict },
    b: { places: ['tcp://[2a03::1]:1'], verdict: 'not-reached' as DialVerdict },
  }
  const { clock, dialBack, asked, state, changes } = peerWith(helpers, () => {
    if (asked.length === 2) dialBack.forget()
  })
  dialBack.onLink()
  await clock.pass(1_000)
  expect([asked.length, state(), changes()]).toEqual([2, 'unknown', 0])
  await clock.pass(1_000)
  expect([asked.length, state(), changes()]).toEqual([4, 'closed', 1])
})

it('where the gateway was opened what was found is found anew, and what is being tried just then does not count', async () => {
  const helpers = {
    a: { places: ['tcp://[2a01::1]:1'], verdict: 'not-reached' as DialVerdict },
    b: { places: ['tcp://[2a03::1]:1'], verdict: 'not-reached' as DialVerdict },
  }
  const { clock, dialBack, asked, state, changes } = peerWith(helpers, () => {
    if (asked.length !== 4) return
    helpers.a.verdict = 'reached'
    dialBack.lookAgain('2a02::7')
  })
  dialBack.onLink()
  await clock.pass(1_000)
  dialBack.lookAgain('2a02::7')
  expect([asked.length, state()]).toEqual([2, 'closed'])
  await clock.pass(1_000)
  expect([asked.length, state(), changes()]).toEqual([4, 'closed', 1])
  await clock.pass(1_000)
  expect([asked.length, state(), changes()]).toEqual([6, 'open', 2])
})

it('as soon as there are enough to ask they are asked', async () => {
  const helpers: Record<string, { places: string[]; verdict: DialVerdict }> = {
    four: { places: ['tcp://5.5.5.5:1'], verdict: 'not-reached' },
  }
  const { clock, dialBack, asked, state } = peerWith(helpers)
  dialBack.onLink()
  await clock.pass(1_000)
  for (const name of ['a', 'b', 'c']) helpers[name] = { places: [`tcp://[2a0${name}::1]:1`], verdict: 'not-reached' }
  await clock.pass(9_000)
  expect(asked).toEqual([])
  await clock.pass(1_000)
  expect([asked.length, state()]).toEqual([3, 'closed'])
})

function request(text: string): { readonly stream: MeshStream; readonly written: Uint8Array[] } {
  const written: Uint8Array[] = []
  const stream = {
    write: async (bytes: Uint8Array) => {
      written.push(bytes)
    },
    async *[Symbol.asyncIterator]() {
      yield new TextEncoder().encode(text)
    },
  }
  // reason: a helper uses nothing else of it.
  return { stream: stream as unknown as MeshStream, written }
}

it('who is asked dials what is the same machine from anywhere, for one peer now and then', async () => {
  const clock = new TestClock()
  const dialled: string[] = []
  const helper = new DialBackHelper({
    clock,
    answersAt: async (place, peer) => {
      dialled.push(`${peer} ${addressText(place)}`)
      return place.port === 1 ? true : place.port === 2 ? false : null
    },
  })
  const answerTo = async (text: string, from: string): Promise<number | undefined> => {
    const { stream, written } = request(text)
    await helper.serve(stream, from as PeerId)
    expect(written).toHaveLength(1)
    return written[0]?.[0]
  }
  const refused = [
    'tcp://10.0.0.1:1',
    'tcp://localhost:1',
    'tcp://some.example:1',
    'ws://5.5.5.5:1',
    'x',
    'y'.repeat(600),
  ]
  for (const text of refused) expect([text, await answerTo(text, 'p')]).toEqual([text, 2])
  expect(dialled).toEqual([])
  expect(await answerTo('tcp://5.5.5.5:1', 'p')).toBe(0)
  expect(await answerTo('tcp://5.5.5.5:2', 'p')).toBe(2)
  expect(await answerTo('tcp://[2a02::7]:2', 'p')).toBe(1)
  expect(await answerTo('tcp://5.5.5.5:3', 'q')).toBe(2)
  await clock.pass(5_000)
  expect(await answerTo('tcp://5.5.5.5:2', 'p')).toBe(1)
  expect(dialled).toHaveLength(4)
})
