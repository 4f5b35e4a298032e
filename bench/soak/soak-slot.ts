/** One place of the soak: whoever goes is followed, after a while, by itself or by another. */
import type { Mesh } from 'webmesh'
import { codeOf, live, pause, type SoakHost } from './soak-peer.ts'
import type { Slot } from './soak-words.ts'

/** Off for so long at the mean, before a peer comes again. */
const OFF_MS = 10_000
/** Whoever comes again is the same peer in one case of two. */
const SAME_SHARE = 0.5

export interface SlotHost extends SoakHost {
  /** Starts a peer whose store has this name: what it held before is there still. */
  start(slot: Slot, store: string): Promise<Mesh>
  /** Nobody comes again with what lies in this store. */
  forget(store: string): void
  onClosed(mesh: Mesh): void
}

export async function keepSlot(slot: Slot, host: SlotHost): Promise<never> {
  for (let life = 0; ; life += 1) {
    const store = `${slot.number}-${life}`
    do {
      await liveOnce(slot, store, host)
      await pause(Math.random() * 2 * OFF_MS)
    } while (Math.random() < SAME_SHARE)
    host.forget(store)
  }
}

async function liveOnce(slot: Slot, store: string, host: SlotHost): Promise<void> {
  try {
    const mesh = await host.start(slot, store)
    await live(mesh, slot.listens, slot.medianMs, host)
    host.onClosed(mesh)
  } catch (error) {
    host.say({ kind: 'trouble', what: `start: ${codeOf(error)}` })
  }
}
