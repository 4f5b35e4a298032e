import { expect, it } from 'vitest'
import { type Node, World } from '../../sim/world.ts'
import type { Address } from '../base/address.ts'

function served(host: string): Address {
  return { scheme: 'udp', host, port: 4101, extra: '' }
}

/** Where a peer is told to ask that knows these public ones. */
function helpersAmong(seed: number, places: readonly (readonly string[])[]): readonly string[] {
  const world = new World({ seed, delayMs: [1, 5] })
  const open = places.map(hosts => {
    const node = world.add({ public: true })
    node.command({ kind: 'announce', addresses: [node.address, ...hosts.map(served)] })
    return node
  })
  const asker = world.add({ public: false })
  // reason: there is at least one.
  const first = open[0] as Node
  for (const node of [...open.slice(1), asker]) node.join(first)
  world.run(20_000)
  const call = asker.ask(request => ({ kind: 'helpers-find', request }))
  const answer = call.answer()
  return answer?.kind === 'helpers-found' ? answer.helpers.map(({ host }) => host) : []
}

const BOTH = Array.from({ length: 5 }, (_, i) => [`20.1.0.${i}`, `2a02::${i}`])

it('three public peers are asked by each family, where they serve both', () => {
  for (let seed = 1; seed <= 3; seed += 1) {
    const hosts = helpersAmong(seed, BOTH)
    expect(hosts.filter(host => host.includes(':'))).toHaveLength(3)
    expect(hosts.filter(host => !host.includes(':'))).toHaveLength(3)
    expect(new Set(hosts).size).toBe(6)
  }
})

it('those that serve one family alone hide no other', () => {
  const hosts = helpersAmong(1, [['20.1.0.1'], ['20.1.0.2'], ['20.1.0.3'], ['20.1.0.4'], ['2a02::5']])
  expect(hosts).toContain('2a02::5')
  expect(hosts.filter(host => !host.includes(':'))).toHaveLength(3)
})

it('one peer is one witness, however many places it names', () => {
  const hosts = helpersAmong(1, [
    ['20.9.0.1', '20.9.0.2', '20.9.0.3', '2a09::1', '2a09::2', '2a09::3'],
    ['20.1.0.1', '2a02::1'],
  ])
  expect([...hosts].sort()).toEqual(['20.1.0.1', '20.9.0.1', '2a02::1', '2a09::1'])
})
