/** One peer of `webmesh demo`, in a process of its own: does what its parent asks over the IPC channel, no more. */
import { randomBytes } from 'node:crypto'
import { Mesh, type MeshStatus, type PathView, type PeerId, type Service, WebmeshError } from '../index.node.ts'

export const DEMO_SERVICE = 'demo.webmesh/1'

/** What the parent can ask, and what the answer is. */
export interface DemoCalls {
  start(asked: { readonly listen: boolean; readonly join: readonly string[] }): Promise<DemoStarted>
  /** Becomes a member and waits until all of `peers` have been discovered. */
  meet(asked: { readonly peers: readonly PeerId[] }): Promise<null>
  /** Opens a stream to a member, sends random bytes and waits for the same ones to come back. */
  echo(asked: { readonly peer: PeerId; readonly bytes: number }): Promise<DemoEcho>
  broadcast(asked: { readonly text: string }): Promise<null>
  /** Waits until the broadcast arrived; how often it did. */
  heard(asked: { readonly text: string }): Promise<number>
  status(asked: null): Promise<MeshStatus>
  ref(asked: null): Promise<string>
  /** Leaves and ends the process. */
  stop(asked: null): Promise<null>
}

export interface DemoStarted {
  readonly peer: PeerId
  readonly ref: string
  readonly listening: readonly string[]
}

export interface DemoEcho {
  readonly same: boolean
  readonly path: PathView
  readonly tookMs: number
}

export type DemoRequest = { [Name in keyof DemoCalls]: DemoAsk<Name> }[keyof DemoCalls]

interface DemoAsk<Name extends keyof DemoCalls> {
  readonly id: number
  readonly call: Name
  readonly asked: Parameters<DemoCalls[Name]>[0]
}

export type DemoAnswer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string }

class DemoPeer implements DemoCalls {
  private mesh: Mesh | null = null
  private service: Service | null = null
  private readonly heardTexts = new Map<string, number>()
  private readonly onHeard = new Set<() => void>()

  async start(asked: { listen: boolean; join: readonly string[] }): Promise<DemoStarted> {
    const listen = asked.listen ? ['127.0.0.1:0'] : []
    this.mesh = await Mesh.start({ listen, join: [...asked.join] })
    const { id, ref, listening } = this.mesh
    return { peer: id, ref, listening }
  }

  async meet(asked: { peers: readonly PeerId[] }): Promise<null> {
    if (this.service === null) await this.joinService()
    const missing = new Set(asked.peers)
    if (this.service === null || missing.size === 0) return null
    for await (const { peer } of this.service.discover()) {
      missing.delete(peer)
      if (missing.size === 0) break
    }
    return null
  }

  async echo(asked: { peer: PeerId; bytes: number }): Promise<DemoEcho> {
    const start = performance.now()
    const service = this.joined()
    const sent = randomBytes(asked.bytes)
    const stream = await service.open(asked.peer)
    await stream.write(sent)
    await stream.end()
    let at = 0
    let same = true
    for await (const chunk of stream) {
      same &&= chunk.every((byte, i) => byte === sent[at + i])
      at += chunk.length
    }
    const tookMs = performance.now() - start
    const { path } = await this.running().connect(asked.peer)
    return { same: same && at === sent.length, path, tookMs }
  }

  async broadcast(asked: { text: string }): Promise<null> {
    await this.joined().broadcast(new TextEncoder().encode(asked.text))
    return null
  }

  async heard(asked: { text: string }): Promise<number> {
    while (!this.heardTexts.has(asked.text)) {
      await new Promise<void>(resolve => this.onHeard.add(resolve))
    }
    return this.heardTexts.get(asked.text) ?? 0
  }

  async status(): Promise<MeshStatus> {
    return this.running().status()
  }

  async ref(): Promise<string> {
    return this.running().ref
  }

  async stop(): Promise<null> {
    await this.mesh?.close()
    setImmediate(() => process.exit(0))
    return null
  }

  private async joinService(): Promise<void> {
    const service = await this.running().join(DEMO_SERVICE, { summary: 'the peers of webmesh demo' })
    service.handle(async stream => {
      for await (const chunk of stream) await stream.write(chunk)
    })
    service.addEventListener('message', event => {
      const text = new TextDecoder().decode(event.data)
      this.heardTexts.set(text, (this.heardTexts.get(text) ?? 0) + 1)
      for (const resolve of this.onHeard) resolve()
      this.onHeard.clear()
    })
    this.service = service
  }

  private running(): Mesh {
    if (this.mesh === null) throw new Error('the peer was not started')
    return this.mesh
  }

  private joined(): Service {
    if (this.service === null) throw new Error('the service was not joined')
    return this.service
  }
}

/** Answers the parent until it goes: then this process ends too. */
function serveParent(): void {
  const peer = new DemoPeer()
  const answer = (message: DemoAnswer): void => {
    process.send?.(message)
  }
  process.on('disconnect', () => process.exit(0))
  // The parent decides when the demo ends: Ctrl-C reaches the whole group.
  process.on('SIGINT', () => {})
  process.on('message', (request: DemoRequest) => {
    // reason: the call and what it is asked belong together by the type of the request.
    const call = peer[request.call] as (asked: unknown) => Promise<unknown>
    call.call(peer, request.asked).then(
      value => answer({ id: request.id, value }),
      (error: unknown) => {
        const told = error instanceof WebmeshError ? `${error.message} (${error.code})` : String(error)
        answer({ id: request.id, error: told })
      },
    )
  })
}

if (process.send !== undefined && process.env.WEBMESH_DEMO_PEER === '1') serveParent()
