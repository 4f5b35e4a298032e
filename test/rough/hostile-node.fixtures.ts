/**
 * A peer in the world that keeps to the protocol, so that others link to it, and beside that says over its sessions
 * whatever a test wants. It records what it says of its own, for the test to damage and say again.
 */
import type { PeerId } from '../../src/core/base/peer-id.ts'
import type { Rng } from '../../src/core/base/rng.ts'
import type { Effect } from '../../src/core/effect.ts'
import type { Connector } from '../../src/core/overlay/connector.ts'
import type { Session } from '../../src/core/session/session.ts'
import { Turn } from '../../src/core/turn.ts'
import type { Node, World } from '../../src/sim/world.ts'

const CORPUS_MAX = 400

/** What the fixture needs of a node and of the peer in it that they do not show. */
interface Inside {
  readonly connector: Connector
}
interface Outside {
  carryOut(effects: readonly Effect[]): void
  readonly bornAt: number
}

export function connectorOf(node: Node): Connector {
  // reason: the peer in a node is the production class, whose parts are private.
  return (node.peer as unknown as Inside).connector
}

export class HostileNode {
  readonly node: Node
  /** Genuine messages of this node: channel and bytes. */
  readonly corpus: { readonly channel: number; readonly bytes: Uint8Array }[] = []
  private readonly world: World
  private readonly rng: Rng

  constructor(world: World, node: Node) {
    this.world = world
    this.node = node
    this.rng = world.rng.fork('hostile')
    const connector = connectorOf(node)
    const genuine = connector.sendMessage.bind(connector)
    connector.sendMessage = (turn, peer, channel, bytes) => {
      if (this.corpus.length < CORPUS_MAX) this.corpus.push({ channel, bytes: bytes.slice() })
      else this.corpus[this.rng.below(CORPUS_MAX)] = { channel, bytes: bytes.slice() }
      return genuine(turn, peer, channel, bytes)
    }
  }

  /** The session with a peer, if it has a path. */
  sessionWith(peer: PeerId): Session | null {
    const session = connectorOf(this.node).contact(peer)?.session ?? null
    return session?.path == null ? null : session
  }

  /** Says something to a peer; false where there is no session, or no room in it. */
  say(peer: PeerId, channel: number, bytes: Uint8Array): boolean {
    return this.act(peer, (turn, session) => session.sendMessage(turn, channel, bytes)) ?? false
  }

  /** Puts bytes among the frames of the next packet to a peer. */
  sayFrames(peer: PeerId, bytes: Uint8Array): boolean {
    return (
      this.act(peer, (_, session) => {
        // reason: what the session would not say has to be put into its queue.
        const inside = session as unknown as { controlQueue(): { push(frame: Uint8Array): void } }
        inside.controlQueue().push(bytes)
        connectorOf(this.node).board.markDirty(session)
        return true
      }) ?? false
    )
  }

  /** A genuine message, damaged: cut, lengthened, with bits turned, or with another one's tail. */
  damaged(): { readonly channel: number; readonly bytes: Uint8Array } {
    const { rng } = this
    const one = rng.pick(this.corpus)
    const other = rng.pick(this.corpus)
    if (one === undefined || other === undefined) return { channel: 1, bytes: bytesOf(rng, rng.below(60)) }
    const bytes = one.bytes.slice()
    switch (rng.below(5)) {
      case 0:
        for (let i = rng.below(4) + 1; i > 0; i -= 1) {
          const at = rng.below(bytes.length || 1)
          if (at < bytes.length) bytes[at] = bytes[at]! ^ (1 << rng.below(8))
        }
        return { channel: one.channel, bytes }
      case 1:
        return { channel: one.channel, bytes: bytes.subarray(0, rng.below(bytes.length + 1)) }
      case 2:
        return { channel: one.channel, bytes: joined(bytes, bytesOf(rng, rng.below(200))) }
      case 3:
        return { channel: one.channel, bytes: joined(bytes.subarray(0, rng.below(bytes.length + 1)), other.bytes) }
      default:
        return { channel: rng.below(4), bytes: one.bytes }
    }
  }

  private act<T>(peer: PeerId, action: (turn: Turn, session: Session) => T): T | null {
    const session = this.sessionWith(peer)
    if (session === null || !this.node.alive) return null
    // reason: the world carries out effects of steps; these are of no step.
    const outside = this.node as unknown as Outside
    const turn = new Turn(this.world.now - outside.bornAt, 1_800_000_000_000 + this.world.now)
    const result = action(turn, session)
    connectorOf(this.node).board.flush(turn)
    outside.carryOut(turn.effects)
    return result
  }
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.min(head.length + tail.length, 16_000))
  whole.set(head.subarray(0, whole.length))
  if (head.length < whole.length) whole.set(tail.subarray(0, whole.length - head.length), head.length)
  return whole
}

export function bytesOf(rng: Rng, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => rng.below(256))
}
