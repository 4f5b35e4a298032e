/** The messages between members with fixed contents, as spec/vectors/service.json has them. */
import { signPeerRef } from '../crypto/peer-ref.ts'
import { hexOf, nativeSuite, testIdentity } from '../crypto/suite.fixtures.ts'
import { hashOfService } from '../registry/record.ts'
import { parseServiceName } from '../registry/service-name.ts'
import { messageIdOf, signBroadcast } from './broadcast.ts'
import { encodeServiceMessage, type ServiceMessage } from './service-messages.ts'
import { tagOfService } from './service-tag.ts'

const SEQUENCE = 1_700_000_000_000

/** By name, with the identity of seed 01 repeated and the service chat.example/1. */
export function serviceVectors(): Record<string, string> {
  const suite = nativeSuite
  const identity = testIdentity(suite, 1)
  const name = parseServiceName('chat.example/1')
  if (!name.ok) throw new Error(name.fault.code)
  const tag = tagOfService(suite, name.value)
  const hash = hashOfService(suite, name.value)
  const ref = signPeerRef(suite, identity, {
    sequence: SEQUENCE,
    expires: SEQUENCE + 604_800_000,
    capacity: 24,
    relays: true,
    addresses: [{ scheme: 'tcp', host: '192.0.2.1', port: 4100, extra: '' }],
    rendezvous: [],
  }).bytes
  const payload = new Uint8Array([0x68, 0x65, 0x6c, 0x6c, 0x6f])
  const broadcast = signBroadcast(identity, hash, 'payload', SEQUENCE, payload)
  const id = messageIdOf(broadcast)
  const messages: Record<string, ServiceMessage> = {
    'view-join': { kind: 'view-join', memberForMs: 1_500, ref },
    'view-accept': { kind: 'view-accept', memberForMs: 60_000, refs: [ref] },
    'view-refuse not-a-member': { kind: 'view-refuse', reason: 'not-a-member', refs: [] },
    'view-refuse full': { kind: 'view-refuse', reason: 'full', refs: [ref] },
    'view-leave trimmed': { kind: 'view-leave', reason: 'trimmed' },
    'view-leave left': { kind: 'view-leave', reason: 'left' },
    'view-leave not-linked': { kind: 'view-leave', reason: 'not-linked' },
    'gossip payload': { kind: 'gossip', broadcast, ageMs: 1_200 },
    'gossip member-here': {
      kind: 'gossip',
      ageMs: 0,
      broadcast: signBroadcast(identity, hash, 'member-here', SEQUENCE + 1, ref),
    },
    'gossip member-left': {
      kind: 'gossip',
      ageMs: 0,
      broadcast: signBroadcast(identity, hash, 'member-left', SEQUENCE + 2, new Uint8Array(0)),
    },
    ihave: { kind: 'ihave', ids: [id] },
    graft: { kind: 'graft', id },
    prune: { kind: 'prune' },
    place: {
      kind: 'place',
      place: { root: { term: 3, capacity: 256, peer: identity.peer }, round: 17, depth: 2 },
      isParent: true,
    },
  }
  const vectors: Record<string, string> = { 'tag of chat.example/1': tag }
  for (const [title, message] of Object.entries(messages)) vectors[title] = hexOf(encodeServiceMessage(tag, message))
  return vectors
}
