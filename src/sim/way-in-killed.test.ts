/** The shape of `webmesh demo` in virtual time: bytes go both ways between all who are left, over streams of their own. */
import { expect, it } from 'vitest'
import type { PeerEvent } from '../core/effect.ts'
import { type Node, World } from './world.ts'

/** Answers what others send, and counts the echoes of what this node sends. */
class Echoing {
  /** Whom it has got its bytes back from, and when. */
  readonly echoedAt = new Map<Node, number>()
  readonly faults: string[] = []
  private readonly world: World
  private readonly node: Node
  private readonly asked = new Map<number, Node>()
  private readonly opened = new Map<string, Node>()

  constructor(world: World, node: Node) {
    this.world = world
    this.node = node
    node.onEvent = event => this.onEvent(event)
  }

  call(to: Node): void {
    const request = this.world.newRequest()
    this.asked.set(request, to)
    this.node.command({ kind: 'connect', request, target: { kind: 'peer', peer: to.id } })
  }

  private onEvent(event: PeerEvent): void {
    if (event.kind === 'connected' || event.kind === 'stream-opened' || event.kind === 'failed') {
      const to = this.asked.get(event.request)
      if (to === undefined) return
      if (event.kind === 'failed') this.faults.push(`${this.node.index} to ${to.index}: ${JSON.stringify(event.fault)}`)
      else if (event.kind === 'connected') {
        const request = this.world.newRequest()
        this.asked.set(request, to)
        this.node.command({ kind: 'stream-open', request, session: event.session, subject: 'echo' })
      } else {
        const { session, stream } = event
        this.opened.set(`${session}/${stream}`, to)
        this.node.command({ kind: 'stream-write', session, stream, chunks: [new Uint8Array(64)] })
      }
    } else if (event.kind === 'stream-data') {
      const { session, stream } = event
      const to = this.opened.get(`${session}/${stream}`)
      if (to !== undefined) this.echoedAt.set(to, this.world.now)
      else
        this.node.command({ kind: 'stream-write', session, stream, chunks: event.chunks.map(chunk => chunk.slice()) })
    }
  }
}

it('when the only way in is killed, every pair of the rest exchanges bytes within two seconds', () => {
  for (let seed = 1; seed <= 16; seed += 1) {
    const world = new World({ seed, delayMs: [0, 5] })
    const first = world.add({ public: true })
    const others = [true, true, true, false, false, false, false].map(isPublic => world.add({ public: isPublic }))
    for (const node of others) node.join(first)
    world.run(200)
    for (const node of world.nodes)
      node.ask(request => ({ kind: 'service-join', request, service: 'demo/1', summary: '' }))
    world.run(250 + 100 * seed)
    first.kill()
    const echoing = others.map(node => new Echoing(world, node))
    for (const [index, one] of echoing.entries()) {
      for (const to of others) if (to !== others[index]) one.call(to)
    }
    world.run(2_000)
    const missing = echoing.flatMap((one, index) =>
      others
        .filter(to => to !== others[index] && !one.echoedAt.has(to))
        .map(to => `${others[index]?.index} to ${to.index}`),
    )
    expect({ seed, missing, faults: echoing.flatMap(one => one.faults) }).toEqual({ seed, missing: [], faults: [] })
  }
})
