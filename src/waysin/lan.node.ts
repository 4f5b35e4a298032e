/**
 * Peers of one local network find each other by mDNS (RFC 6762): whoever looks for a way in asks for the TXT records of a name,
 * peers that are in or take connections answer with their refs. Only for whom it was switched on: it tells the network of them.
 */
import multicastDns from 'multicast-dns'
import { type Meet, SAID_AGAIN_MS } from './way-in-source.ts'

const NAME = '_webmesh._udp.local'
/** A string of a TXT record holds so much. */
const STRING_BYTES_MAX = 255
const TTL_SECONDS = 10

export const meetLan: Meet = peer => {
  const mdns = multicastDns()
  let answeredAt = Number.NEGATIVE_INFINITY
  // Without multicast there is nobody to meet: other ways in remain.
  for (const event of ['error', 'warning'] as const) mdns.on(event, () => {})
  mdns.on('query', ({ questions = [] }) => {
    const now = performance.now()
    if (!questions.some(({ name, type }) => name === NAME && type === 'TXT') || now - answeredAt < SAID_AGAIN_MS) return
    const own = peer.ref()
    if (own === null) return
    answeredAt = now
    mdns.respond([{ name: NAME, type: 'TXT', ttl: TTL_SECONDS, data: stringsOf(own) }])
  })
  mdns.on('response', ({ answers = [] }) => {
    for (const answer of answers) {
      if (answer.name !== NAME || answer.type !== 'TXT') continue
      const strings = Array.isArray(answer.data) ? answer.data : [answer.data]
      peer.onWayIn(strings.map(String).join(''))
    }
  })
  return { ask: () => mdns.query(NAME, 'TXT'), close: () => mdns.destroy() }
}

function stringsOf(text: string): string[] {
  return Array.from({ length: Math.ceil(text.length / STRING_BYTES_MAX) }, (_, i) =>
    text.slice(i * STRING_BYTES_MAX, (i + 1) * STRING_BYTES_MAX),
  )
}
