/** A page of the soak: one whole peer at a time, of the package as it is built for browsers. */
import { Mesh } from 'webmesh'
import { Holdings } from './soak-holdings.ts'
import { keepSlot, type SlotHost } from './soak-slot.ts'
import type { Held, SoakOrder, SoakWord } from './soak-words.ts'

/** What `soak-pages.ts` gives the page. */
declare const say: (word: SoakWord) => void

export interface SoakPage {
  take(order: SoakOrder): void
}

const holdings = new Holdings()
let order: SoakOrder = { peers: [], waysIn: [] }
let standstillMs = 0
let lookedAt = performance.now()
setInterval(() => {
  const now = performance.now()
  standstillMs = Math.max(standstillMs * 0.9, now - lookedAt - 100)
  lookedAt = now
}, 100)

const host: SlotHost = {
  others: () => order.peers,
  say: word => say(word),
  standstillMs: () => standstillMs,
  start: async (_, store) => holdings.add(await Mesh.start({ store, join: order.waysIn, tabs: false })),
  forget: store => void indexedDB.deleteDatabase(store),
  onClosed: mesh => holdings.onClosed(mesh),
}

const soak: SoakPage = {
  take(next) {
    order = next
    for (const slot of order.begin ?? []) keepSlot(slot, host)
    if (order.count) say({ kind: 'held', held: held() })
  },
}
Object.assign(globalThis, { soak })

function held(): Held {
  // reason: Chromium is started so that it has both.
  const { gc, performance } = globalThis as unknown as {
    gc: () => void
    performance: { memory: { usedJSHeapSize: number } }
  }
  gc()
  gc()
  return { where: 'page', amounts: { heapUsed: performance.memory.usedJSHeapSize }, ...holdings.count() }
}
