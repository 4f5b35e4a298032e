/** What a mesh at rest does, by the minute: to tell whether one that began settled is like one that was grown. */
import type { LinkView } from '../core/peer-options.ts'
import { Look } from './judge.ts'
import { meanHops } from './scenario-run.ts'
import type { Node, World } from './world.ts'

const MINUTE_MS = 60_000
/** How often the ring is looked at. */
const LOOK_MS = 5_000
const HOP_PAIRS = 500

/** Of one minute; rates are of each peer. */
export interface RestMinute {
  readonly linksUp: number
  readonly linksDown: number
  /** Of them, over all peers: those whose path or session was lost, none given up. Two at one peer may be an alarm. */
  readonly linksLost: number
  readonly messagesPerSecond: number
  readonly bytesPerSecond: number
  /** Pairs of ring neighbours that were not linked, the most at any look. */
  readonly ringGaps: number
  /** The least share in the largest component. */
  readonly component: number
}

/** As a mesh is at one moment. */
export interface RestState {
  readonly meanHops: number | null
  /** The share of peers whose estimate of how many there are is within a quarter. */
  readonly estimateShare: number
  readonly meanLinks: number
  /** Shares of all ends of links by what they are for, and of those that no wire carries. */
  readonly roles: Readonly<Record<LinkView['role'], number>>
  readonly relayed: number
}

/** Counts what peers tell of their links from here on. */
export class RestWatch {
  private readonly world: World
  private readonly nodes: readonly Node[]
  private ups = 0
  private downs = 0
  private lost = 0

  constructor(world: World) {
    this.world = world
    this.nodes = world.live()
    for (const node of this.nodes) {
      const { onEvent } = node
      node.onEvent = event => {
        onEvent?.(event)
        if (event.kind === 'link-up') this.ups += 1
        if (event.kind !== 'link-down') return
        this.downs += 1
        if (event.fault.code !== 'closed') this.lost += 1
      }
    }
  }

  /** Lets a minute pass. */
  minute(): RestMinute {
    const { world, nodes, ups, downs, lost } = this
    const { messages, bytes } = world
    let ringGaps = 0
    let component = 1
    for (let passedMs = 0; passedMs < MINUTE_MS; passedMs += LOOK_MS) {
      world.run(LOOK_MS)
      const look = new Look(nodes)
      ringGaps = Math.max(ringGaps, look.ringGaps().length)
      component = Math.min(component, look.componentShare())
    }
    return {
      linksUp: (this.ups - ups) / nodes.length,
      linksDown: (this.downs - downs) / nodes.length,
      linksLost: this.lost - lost,
      messagesPerSecond: (world.messages - messages) / nodes.length / 60,
      bytesPerSecond: (world.bytes - bytes) / nodes.length / 60,
      ringGaps,
      component,
    }
  }

  state(): RestState {
    const look = new Look(this.nodes)
    const roles = { near: 0, far: 0, random: 0, public: 0, guest: 0 }
    let ends = 0
    let relayed = 0
    for (const { links } of look.snapshots) {
      for (const { role, path } of links) {
        roles[role] += 1
        ends += 1
        if (path.kind !== 'wire') relayed += 1
      }
    }
    const share = (count: number): number => count / Math.max(1, ends)
    return {
      meanHops: meanHops(look, this.world.rng.fork('rest'), HOP_PAIRS),
      estimateShare: look.estimateShare(look.nodes.length, 0.25),
      meanLinks: ends / look.nodes.length,
      roles: {
        near: share(roles.near),
        far: share(roles.far),
        random: share(roles.random),
        public: share(roles.public),
        guest: share(roles.guest),
      },
      relayed: share(relayed),
    }
  }
}

/** The mean of several minutes; of gaps the most, of the component the least. */
export function meanMinute(minutes: readonly RestMinute[]): RestMinute {
  const mean = (of: (minute: RestMinute) => number): number =>
    minutes.reduce((sum, minute) => sum + of(minute), 0) / Math.max(1, minutes.length)
  return {
    linksUp: mean(minute => minute.linksUp),
    linksDown: mean(minute => minute.linksDown),
    linksLost: mean(minute => minute.linksLost),
    messagesPerSecond: mean(minute => minute.messagesPerSecond),
    bytesPerSecond: mean(minute => minute.bytesPerSecond),
    ringGaps: Math.max(...minutes.map(minute => minute.ringGaps)),
    component: Math.min(...minutes.map(minute => minute.component)),
  }
}
