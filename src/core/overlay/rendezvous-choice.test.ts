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
  const outside = ['tcp://5.5.5.5:1', 'ws://5.5.5.5:1', 'wss://5.5.5.5:1']
  expect(named('tcp://10.0.0.2:1', 'ws://10.0.0.2:1', ...outside)).toEqual([
    'tcp://5.5.5.5:1',
    'wss://5.5.5.5:1',
    'ws://5.5.5.5:1',
  ])
  expect(named('tcp://10.0.0.2:1', 'tcp://5.5.5.5:1')).toEqual(['tcp://5.5.5.5:1', 'tcp://10.0.0.2:1'])
})

it('of a rendezvous with both families those are told by which programs and pages get in that have only one', () => {
  const hash = 'A'.repeat(43)
  const of = (host: string): string[] => [`tcp://${host}:1`, `ws://${host}:1`, `webrtc://${host}:2/${hash}`]
  const both = named(...of('5.5.5.5'), ...of('[2a02::7]'))
  expect(both).toEqual(['tcp://5.5.5.5:1', `webrtc://5.5.5.5:2/${hash}`, 'ws://[2a02::7]:1'])
  // A name may stand for either.
  const proxied = ['tcp://peer.example:1', 'wss://peer.example:443']
  expect(named(...of('[2a02::7]'), ...proxied)).toEqual([
    'tcp://[2a02::7]:1',
    'wss://peer.example:443',
    'ws://[2a02::7]:1',
  ])
})

it('where it serves STUN alone nobody can dial it', () => {
  expect(named('tcp://127.0.0.1:1', 'udp://127.0.0.1:2', 'ws://127.0.0.1:1')).toEqual([
    'tcp://127.0.0.1:1',
    'ws://127.0.0.1:1',
  ])
})
