/**
 * Tabs of one origin find each other by BroadcastChannel: whoever looks for a way in asks, whoever is in answers with its ref. No
 * server is asked, and none of another origin hears of it.
 */
import type { Meet } from './way-in-source.ts'

const CHANNEL = 'webmesh/1'

type Said = { readonly kind: 'ask' } | { readonly kind: 'here'; readonly ref: string }

export const meetTabs: Meet = (ref, onRef) => {
  if (typeof BroadcastChannel === 'undefined') return null
  const channel = new BroadcastChannel(CHANNEL)
  const say = (said: Said): void => channel.postMessage(said)
  channel.onmessage = ({ data }: MessageEvent<Partial<Said> | null>) => {
    // Anything of this origin may write here.
    if (data?.kind === 'ask') {
      const own = ref()
      if (own !== null) say({ kind: 'here', ref: own })
    } else if (data?.kind === 'here' && typeof data.ref === 'string') onRef(data.ref)
  }
  return { ask: () => say({ kind: 'ask' }), close: () => channel.close() }
}
