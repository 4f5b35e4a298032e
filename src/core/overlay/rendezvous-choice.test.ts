import { expect, it } from 'vitest'
import { addressText, parseAddress } from '../base/address.ts'
import type { PeerRef } from '../crypto/peer-ref.ts'
import { namedAddresses } from './rendezvous-choice.ts'

function named(...texts: string[]): string[] {
  const addresses = texts.map(text => {
    const address = parseAddress(text)
    if (!address.ok) throw new Error(text)
    return address.value
  })
  // reason: nothing else of it is looked at.
  return namedAddresses({ addresses } as unknown as PeerRef).map(addressText)
}

it('a rendezvous is told at three of its addresses, those first that can be dialled from anywhere', () => {
  const outside = ['tcp://5.5.5.5:1', 'ws://5.5.5.5:1', 'tcp://[2a02::7]:1']
  expect(named('tcp://10.0.0.2:1', 'ws://10.0.0.2:1', ...outside, 'ws://[2a02::7]:1')).toEqual(outside)
  expect(named('tcp://10.0.0.2:1', 'tcp://5.5.5.5:1')).toEqual(['tcp://5.5.5.5:1', 'tcp://10.0.0.2:1'])
})

it('where it serves STUN alone nobody can dial it', () => {
  expect(named('tcp://127.0.0.1:1', 'udp://127.0.0.1:2', 'ws://127.0.0.1:1')).toEqual([
    'tcp://127.0.0.1:1',
    'ws://127.0.0.1:1',
  ])
})
