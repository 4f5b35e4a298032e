/** A browser as a platform: WebSockets and WebRTC that it dials, a store in IndexedDB, noble's cryptography; nothing listens. */
import type { Address, AddressScheme } from '../core/base/address.ts'
import { ok } from '../core/base/fault.ts'
import { createNobleSuite } from '../core/crypto/noble-suite.ts'
import { tabDriver } from '../paths/tab/tab-wires.browser.ts'
import { webRtcDriver, webRtcNegotiator } from '../paths/webrtc/webrtc.browser.ts'
import { webSocketDriver } from '../paths/websocket/websocket-driver.browser.ts'
import type { WireDriver, WireSink } from '../paths/wire-driver.ts'
import { meetTabs } from '../waysin/same-origin.browser.ts'
import { refsOfUrl } from '../waysin/url-refs.ts'
import { driverOf } from './driver-choice.ts'
import { openIndexedDbStore } from './indexeddb-store.browser.ts'
import { MemoryStore } from './memory-store.ts'
import type { HostClock, Platform } from './platform.ts'

const CAPACITY_OF_A_TAB = 12

export function browserPlatform(): Platform {
  const drivers: readonly WireDriver[] = [webSocketDriver(), webRtcDriver(), tabDriver()].filter(
    driver => driver !== null,
  )
  const dialable: AddressScheme[] = drivers.flatMap(driver => driver.schemes)
  return {
    suite: createNobleSuite(randomBytes),
    clock,
    defaultCapacity: CAPACITY_OF_A_TAB,
    dialable,
    negotiators: () => [webRtcNegotiator()].filter(negotiator => negotiator !== null),
    dial: (address: Address, sink: WireSink) => driverOf(drivers, address).open(address, sink),
    onSpent: null,
    async openStore(place) {
      return place === undefined ? ok({ store: new MemoryStore(), fault: null }) : openIndexedDbStore(place)
    },
    findRefs(source, signal) {
      if (source.kind === 'url') return refsOfUrl(source.url, signal)
      return Promise.reject(new Error('a browser asks no DNS server: serve the refs as JSON under a URL'))
    },
    meetings: { tabs: meetTabs },
    watchNetwork,
    certificate: null,
    listen: null,
    answersAt: null,
    openOwnNetwork: null,
  }
}

/** Also when the page is seen again: what was hidden may have been frozen, its connections gone. */
function watchNetwork(tell: (lost: boolean) => void): () => void {
  const onChanged = (): void => tell(true)
  const stop = new AbortController()
  const { signal } = stop
  const onVisible = (): void => {
    if (document.visibilityState === 'visible') onChanged()
  }
  globalThis.addEventListener?.('online', onChanged, { signal })
  if (typeof document !== 'undefined') document.addEventListener('visibilitychange', onVisible, { signal })
  // reason: not all browsers have it, nor the types.
  const { connection } = navigator as { readonly connection?: EventTarget }
  connection?.addEventListener('change', onChanged, { signal })
  return () => stop.abort()
}

function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length))
}

const clock: HostClock = {
  monotonicNow: () => performance.now(),
  wallNow: () => Date.now(),
  setTimer(delayMs, task) {
    const timer = setTimeout(task, delayMs)
    return () => clearTimeout(timer)
  },
}
