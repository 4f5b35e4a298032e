/** One process of the soak: several whole peers as a user starts them. What happens to each it says over IPC. It ends with the run. */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Mesh } from 'webmesh'
import { Holdings } from './soak-holdings.ts'
import { keepSlot, type SlotHost } from './soak-slot.ts'
import type { Held, SoakOrder, SoakWord } from './soak-words.ts'

const STANDSTILLS_KEPT_MS = 10_000
const ALIVE_EVERY_MS = 1_000

/** Where its peers' stores lie: the run's, which removes it. */
const [, , folder = '.'] = process.argv
const holdings = new Holdings()
const standstills = monitorEventLoopDelay()
standstills.enable()
setInterval(() => standstills.reset(), STANDSTILLS_KEPT_MS)
setInterval(() => say({ kind: 'alive' }), ALIVE_EVERY_MS)
let order: SoakOrder = { peers: [], waysIn: [] }

const host: SlotHost = {
  others: () => order.peers,
  say,
  standstillMs: () => standstills.max / 1e6,
  async start({ listens }, store) {
    const listen = listens ? { listen: ['127.0.0.1:0'] } : {}
    const options = { store: placeOf(store), join: order.waysIn, portMapping: false, ...listen }
    return holdings.add(await Mesh.start(options))
  },
  forget: store => rmSync(placeOf(store), { recursive: true, force: true }),
  onClosed: mesh => holdings.onClosed(mesh),
}

process.on('disconnect', () => process.exit())
process.on('message', message => {
  // reason: the run alone sends, and always this.
  order = message as SoakOrder
  for (const slot of order.begin ?? []) keepSlot(slot, host)
  if (order.count) say({ kind: 'held', held: held() })
})
for (const kind of ['uncaughtException', 'unhandledRejection'])
  process.on(kind, error => say({ kind: 'trouble', what: `broke: ${error?.stack ?? error}` }))

function placeOf(store: string): string {
  return join(folder, `${process.pid}-${store}`)
}

function held(): Held {
  // reason: the run starts this process with --expose-gc.
  const { gc } = globalThis as unknown as { gc: () => void }
  gc()
  gc()
  const { rss, heapUsed, external } = process.memoryUsage()
  const bytes = { heapUsed, external, rss, descriptors: readdirSync('/proc/self/fd').length }
  return { where: 'process', amounts: bytes, ...holdings.count() }
}

function say(word: SoakWord): void {
  if (process.connected) process.send?.(word)
}
