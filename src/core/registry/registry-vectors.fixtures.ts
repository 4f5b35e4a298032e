/** The registry's messages with fixed contents, as spec/vectors/registry.json has them. */
import { signPeerRef } from '../crypto/peer-ref.ts'
import { hexOf, nativeSuite, testIdentity } from '../crypto/suite.fixtures.ts'
import { descriptionBytes, keyOfService, keyOfShard, shardOfService, signRecord } from './record.ts'
import { markBytes } from './ref-mark.ts'
import {
  encodeFindAnswer,
  encodeListAnswer,
  encodePutAnswer,
  encodeRegistryMessage,
  encodeRegistryRequest,
} from './registry-messages.ts'
import { parseServiceName } from './service-name.ts'

const SEQUENCE = 1_700_000_000_000

/** By name: what the vector is made of is in its name and in the identity of seed 01 repeated. */
export function registryVectors(): Record<string, string | number> {
  const suite = nativeSuite
  const identity = testIdentity(suite, 1)
  const name = parseServiceName('chat.example/1')
  if (!name.ok) throw new Error(name.fault.code)
  const service = name.value
  const ref = signPeerRef(suite, identity, {
    sequence: SEQUENCE,
    expires: SEQUENCE + 604_800_000,
    capacity: 24,
    relays: true,
    addresses: [{ scheme: 'tcp', host: '192.0.2.1', port: 4100, extra: '' }],
    rendezvous: [],
  })
  const common = { service, sequence: SEQUENCE, withdrawn: false }
  const announcement = signRecord(suite, identity, {
    ...common,
    kind: 'announcement',
    expires: SEQUENCE + 600_000,
    payload: ref.bytes,
  })
  const descriptor = signRecord(suite, identity, {
    ...common,
    kind: 'descriptor',
    expires: SEQUENCE + 3_600_000,
    payload: descriptionBytes({ members: 3, summary: 'Talk to anybody' }),
  })
  const withdrawn = signRecord(suite, identity, {
    ...common,
    kind: 'announcement',
    withdrawn: true,
    sequence: SEQUENCE + 1,
    expires: SEQUENCE + 600_000,
    payload: new Uint8Array(0),
  })
  const records = [announcement.bytes, descriptor.bytes]
  const entries = [{ service, summary: 'Talk to anybody', members: 3 }]
  return {
    'key of chat.example/1': keyOfService(suite, service),
    'shard of chat.example/1': shardOfService(suite, service),
    'key of shard 0': keyOfShard(suite, 0),
    'slot of the announcement': announcement.slot,
    announcement: hexOf(announcement.bytes),
    descriptor: hexOf(descriptor.bytes),
    'announcement withdrawn': hexOf(withdrawn.bytes),
    'request put': hexOf(encodeRegistryRequest({ kind: 'put', record: announcement.bytes })),
    'request find': hexOf(encodeRegistryRequest({ kind: 'find', service, count: 64, marks: [0x01020304, 0xfffefdfc] })),
    'request list': hexOf(encodeRegistryRequest({ kind: 'list', shard: 5, after: 'a/1' })),
    'answer put': hexOf(encodePutAnswer({ outcome: 'outranked', members: 1_000 })),
    'answer find': hexOf(encodeFindAnswer({ members: 2, refs: [ref.bytes, markBytes(0x01020304)] })),
    'answer list': hexOf(encodeListAnswer(entries)),
    'message replicate': hexOf(encodeRegistryMessage({ kind: 'replicate', side: 'after', hops: 16, records })),
    'message digest': hexOf(
      encodeRegistryMessage({ kind: 'digest', entries: [{ slot: announcement.slot, sequence: SEQUENCE }] }),
    ),
    'message want': hexOf(encodeRegistryMessage({ kind: 'want', slots: [announcement.slot] })),
  }
}
