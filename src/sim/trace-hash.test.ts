import { expect, test } from 'vitest'
import { NetworkModel } from './network-model.ts'
import { SETTING_DEFAULTS } from './scenario.ts'
import { Trace } from './trace-hash.ts'
import { World } from './world.ts'

function digestOf(...packets: (readonly [at: number, from: number, to: number, bytes: readonly number[]])[]): string {
  const trace = new Trace()
  for (const [at, from, to, bytes] of packets) trace.add(at, from, to, Uint8Array.from(bytes))
  return trace.digest()
}

test('a digest is 16 hexadecimal digits and the same for the same packets, on every machine', () => {
  expect(digestOf([1.5, 0, 1, [1, 2, 3, 4, 5]], [2 ** 40, 1, 0, []])).toBe('ef45bf633bd01b30')
})

test('every part of a packet counts: when, from whom, to whom, each byte, their number and their order', () => {
  const bytes = [1, 2, 3, 4, 5, 6, 7]
  const digests = [
    digestOf([10, 0, 1, bytes]),
    digestOf([10.001, 0, 1, bytes]),
    digestOf([10 + 2 ** 33, 0, 1, bytes]),
    digestOf([10, 2, 1, bytes]),
    digestOf([10, 0, 2, bytes]),
    digestOf([10, 1, 0, bytes]),
    digestOf([10, 0, 1, [...bytes, 0]]),
    ...bytes.map((_, at) => digestOf([10, 0, 1, bytes.map((byte, index) => (index === at ? byte + 128 : byte))])),
    digestOf([10, 0, 1, [1]], [10, 0, 1, [2]]),
    digestOf([10, 0, 1, [2]], [10, 0, 1, [1]]),
    digestOf(),
  ]
  expect(new Set(digests).size).toBe(digests.length)
})

test('twenty thousand packets one word apart have as many digests', () => {
  const digests = new Set<string>()
  for (let i = 0; i < 20_000; i += 1) digests.add(digestOf([0, 0, 0, [i & 255, i >> 8, 0, 0]]))
  expect(digests.size).toBe(20_000)
})

test('a world has one digest for one seed and another for another', () => {
  const run = (seed: number): string => {
    const model = new NetworkModel({ seed, mix: SETTING_DEFAULTS.mix, lossShare: 0.01 })
    const world = new World({ seed, model })
    const first = world.add({ public: true })
    for (let i = 1; i < 8; i += 1) {
      world.add().join(first)
      world.run(100)
    }
    world.nodes[3]?.kill(true)
    world.run(4_000)
    expect(world.messages).toBeGreaterThan(100)
    return world.trace.digest()
  }
  expect(run(5)).toBe(run(5))
  expect(run(5)).not.toBe(run(6))
})
