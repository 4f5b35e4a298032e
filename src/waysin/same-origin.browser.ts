/**
 * Tabs of one origin find each other by BroadcastChannel: whoever looks for a way in asks, whoever is in answers where it takes
 * wires from other tabs. No server is asked, none has to be there any more, and nobody of another origin hears of it.
 */
import { openTabPlace } from '../paths/tab/tab-wires.browser.ts'
import type { Meet } from './way-in-source.ts'

const CHANNEL = 'webmesh/1'
/** Of many tabs that answer, so many are joined through. */
const ANSWERS_USED = 2

type Said = { readonly kind: 'ask' } | { readonly kind: 'here'; readonly tab: string }

export const meetTabs: Meet = peer => {
  if (typeof BroadcastChannel === 'undefined') return null
  const place = openTabPlace(peer.accept)
  const channel = new BroadcastChannel(CHANNEL)
  let answersLeft = 0
  const say = (said: Said): void => channel.postMessage(said)
  channel.onmessage = ({ data }: MessageEvent<Partial<Said> | null>) => {
    // Anything of this origin may write here.
    if (data?.kind === 'ask') {
      if (peer.ref() !== null) say({ kind: 'here', tab: place.address.extra })
    } else if (data?.kind === 'here' && typeof data.tab === 'string' && answersLeft > 0) {
      answersLeft -= 1
      peer.onWayIn({ ...place.address, extra: data.tab })
    }
  }
  return {
    ask() {
      answersLeft = ANSWERS_USED
      say({ kind: 'ask' })
    },
    close() {
      place.close()
      channel.close()
    },
  }
}
