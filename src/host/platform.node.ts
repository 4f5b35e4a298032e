/** Node as a platform: native cryptography, TCP and WebSocket both ways, a store in a folder. */
import { performance } from 'node:perf_hooks'
import type { Address, AddressScheme } from '../core/base/address.ts'
import { ok } from '../core/base/fault.ts'
import { canFree, spentMemory } from '../paths/tcp/spent-memory.node.ts'
import { tcpDriver } from '../paths/tcp/tcp-driver.node.ts'
import { UdpNegotiator } from '../paths/udp/udp-negotiator.node.ts'
import { makeCertificate, readCertificate } from '../paths/webrtc/dtls-certificate.node.ts'
import { webRtcNegotiator } from '../paths/webrtc/webrtc.node.ts'
import { wsDriver } from '../paths/websocket/ws-driver.node.ts'
import type { WireDriver, WireSink } from '../paths/wire-driver.ts'
import { refsOfDns } from '../waysin/dns-refs.node.ts'
import { meetLan } from '../waysin/lan.node.ts'
import { refsOfUrl } from '../waysin/url-refs.ts'
import { openClassicStore } from './classic-store.node.ts'
import { answersAt } from './dial-probe.node.ts'
import { driverOf } from './driver-choice.ts'
import { openPorts } from './listening.node.ts'
import { MemoryStore } from './memory-store.ts'
import { nativeSuite } from './native-suite.node.ts'
import { watchOwnHosts } from './own-hosts.node.ts'
import { openOwnNetwork } from './own-network.node.ts'
import type { HostClock, Platform } from './platform.ts'

const CAPACITY_OF_A_DESKTOP = 24

export function nodePlatform(): Platform {
  const drivers: readonly WireDriver[] = [tcpDriver(), wsDriver()]
  const dialable: AddressScheme[] = drivers.flatMap(driver => driver.schemes)
  return {
    suite: nativeSuite,
    clock,
    defaultCapacity: CAPACITY_OF_A_DESKTOP,
    dialable,
    negotiators: () => [new UdpNegotiator(), webRtcNegotiator()],
    dial: (address: Address, sink: WireSink) => driverOf(drivers, address).open(address, sink),
    onSpent: canFree ? buffers => spentMemory.free(buffers) : null,
    async openStore(place) {
      return place === undefined ? ok({ store: new MemoryStore(), fault: null }) : openClassicStore(place)
    },
    findRefs: (source, signal) =>
      source.kind === 'url' ? refsOfUrl(source.url, signal) : refsOfDns(source.name, source.server, signal),
    meetings: { lan: meetLan },
    watchNetwork: watchOwnHosts,
    certificate: kept => (kept !== null && readCertificate(kept) !== null ? kept : makeCertificate()),
    listen: openPorts,
    answersAt,
    openOwnNetwork,
  }
}

const clock: HostClock = {
  monotonicNow: () => performance.now(),
  wallNow: () => Date.now(),
  setTimer(delayMs, task) {
    const timer = setTimeout(task, delayMs)
    return () => clearTimeout(timer)
  },
}
