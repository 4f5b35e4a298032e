/** All services that this peer is a member of: hands each message to its service, and shares sessions among them. */
import type { Fault } from '../base/fault.ts'
import { earlier, type Instant } from '../base/instant.ts'
import type { PeerId } from '../base/peer-id.ts'
import { RareMap } from '../base/rare-map.ts'
import type { Rng } from '../base/rng.ts'
import type { CryptoSuite, Identity } from '../crypto/suite.ts'
import { SERVICES_JOINED_MAX } from '../limits.ts'
import type { OverlayPort } from '../overlay/overlay-port.ts'
import type { Registry } from '../registry/registry.ts'
import { parseServiceName } from '../registry/service-name.ts'
import { Channel } from '../session/session-owner.ts'
import type { Turn } from '../turn.ts'
import { Service, type ServiceContext } from './service.ts'
import { decodeServiceMessage, encodeServiceMessage, type ServiceMessage } from './service-messages.ts'
import type { ServiceTag } from './service-tag.ts'

export interface ServicesOptions {
  readonly port: OverlayPort
  readonly suite: CryptoSuite
  readonly identity: Identity
  readonly rng: Rng
  readonly registry: Registry
}

export class Services {
  private readonly context: ServiceContext
  private readonly registry: Registry
  private readonly byTag = new RareMap<ServiceTag, Service>()
  private readonly byName = new RareMap<string, Service>()

  constructor(options: ServicesOptions) {
    this.registry = options.registry
    this.context = { ...options, release: (turn, peer) => this.release(turn, peer) }
  }

  /** Becomes a member; again changes the summary only. Faults: those of `Registry.announce`, and `overloaded`. */
  join(turn: Turn, service: string, summary: string): Fault | null {
    const name = parseServiceName(service)
    if (!name.ok) return name.fault
    const joined = this.byName.has(name.value)
    if (!joined && this.byName.size >= SERVICES_JOINED_MAX)
      return { code: 'overloaded', detail: 'services', limit: SERVICES_JOINED_MAX }
    const fault = this.registry.announce(turn, name.value, summary)
    if (fault !== null || joined) return fault
    const entry = new Service(turn, this.context, name.value)
    this.byName.set(name.value, entry)
    this.byTag.set(entry.tag, entry)
    entry.onWake(turn)
    return null
  }

  leave(turn: Turn, service: string): void {
    const entry = this.byName.get(service)
    if (entry === undefined) return
    this.byName.delete(service)
    this.byTag.delete(entry.tag)
    entry.leave(turn)
    this.registry.withdraw(turn, service)
  }

  /** To how many members it left. Faults: `no-such-service`, `message-too-large`. */
  broadcast(turn: Turn, service: string, bytes: Uint8Array): Fault | number {
    const entry = this.byName.get(service)
    if (entry === undefined) return { code: 'no-such-service', detail: service.slice(0, 80) }
    return entry.broadcast(turn, bytes)
  }

  /** The members known, without this peer; none where it has not joined. */
  members(service: string): PeerId[] {
    return this.byName.get(service)?.members() ?? []
  }

  /** A fault means that the sender broke the protocol. */
  onMessage(turn: Turn, from: PeerId, bytes: Uint8Array): Fault | null {
    const decoded = decodeServiceMessage(bytes)
    if (decoded === null) return { code: 'malformed', detail: 'service message' }
    const { tag, message } = decoded
    const service = this.byTag.get(tag)
    if (service !== undefined) return service.onMessage(turn, from, message)
    if (expectsMember(message)) {
      const refusal = encodeServiceMessage(tag, { kind: 'view-refuse', reason: 'not-a-member', refs: [] })
      this.context.port.send(turn, Channel.service, from, refusal)
    }
    return null
  }

  onSessionClosed(turn: Turn, peer: PeerId): void {
    for (const service of this.byName.values()) service.onSessionClosed(turn, peer)
  }

  /** This peer's ref changed: members must learn the new one. */
  onSelfChanged(turn: Turn): void {
    for (const service of this.byName.values()) service.onSelfChanged(turn)
  }

  onWake(turn: Turn): void {
    for (const service of this.byName.values()) service.onWake(turn)
  }

  nextWake(): Instant | null {
    let wake: Instant | null = null
    for (const service of this.byName.values()) wake = earlier(wake, service.nextWake())
    return wake
  }

  snapshot(): { readonly service: string; readonly members: readonly PeerId[] }[] {
    return [...this.byName.values()].map(service => ({ service: service.name, members: service.members() }))
  }

  private release(turn: Turn, peer: PeerId): void {
    for (const service of this.byName.values()) if (service.uses(peer)) return
    this.context.port.release(turn, peer)
  }
}

const EXPECTING: ReadonlySet<ServiceMessage['kind']> = new Set(['view-join', 'gossip', 'ihave', 'graft', 'place'])

/** Answers to a refusal would go on for ever: only what a member would say to a member is refused. */
function expectsMember(message: ServiceMessage): boolean {
  return EXPECTING.has(message.kind)
}
