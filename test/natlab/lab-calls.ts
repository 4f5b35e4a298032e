/** What the lab asks its peers, what they answer, and how they do it: the same in Node and in a page. */
import type { Mesh, MeshStream, PathView, Session } from '../../src/index.node.ts'

export type Call =
  /** Bytes there and back, by peer id alone; meanwhile, and up to so long, until the path is a wire. */
  | { readonly kind: 'meet'; readonly peer: string; readonly bytes: number; readonly patienceMs: number }
  /** One byte there and back on a new stream. */
  | { readonly kind: 'first-byte'; readonly peer: string }
  /** Opens a stream that stays, and waits up to so long until the path is a wire. */
  | { readonly kind: 'hold'; readonly peer: string; readonly patienceMs: number }
  /** A message there and back over the stream that is held with the peer. */
  | { readonly kind: 'speak'; readonly peer: string }
  /** Waits up to so long for the first link. */
  | { readonly kind: 'linked'; readonly patienceMs: number }
  /** How it is part of the mesh. */
  | { readonly kind: 'state' }
  /** A round trip to the peer. */
  | { readonly kind: 'ping'; readonly peer: string }

export interface Met {
  readonly same: boolean
  /** The transport of a wire, or `circuit`. */
  readonly path: string
  /** From asking for the peer until its first byte was back. */
  readonly firstMs: number | null
  /** Until the path was a wire; null where it became none. */
  readonly directMs: number | null
  /** Whether there was a link with the peer before, and with it a session. */
  readonly wasLinked: boolean
}

export interface State {
  /** Ids, each with what carries it. */
  readonly links: readonly string[]
  readonly estimatedPeers: number
}

export interface FirstByte {
  readonly firstMs: number
  /** Of that, until the session stood. */
  readonly connectMs: number
  readonly wasLinked: boolean
  /** Who carried it on. */
  readonly via: readonly string[]
}

export interface Held {
  readonly path: string
}

export interface Pinged {
  readonly roundTripMs: number
}

export interface Spoken {
  readonly ms: number
  readonly path: string
  /** Paths since the stream was held, the last one last. */
  readonly moves: readonly string[]
}

/** Echoes, and does what it is asked. */
export function labPeer(mesh: Mesh): (call: Call) => Promise<unknown> {
  mesh.handle('echo', async stream => {
    for await (const chunk of stream) await stream.write(chunk)
  })
  const held = new Map<string, HeldStream>()
  return async call => {
    switch (call.kind) {
      case 'meet':
        return meet(mesh, call)
      case 'first-byte':
        return firstByte(mesh, call.peer)
      case 'hold': {
        const stream = await HeldStream.open(mesh, call.peer)
        held.set(call.peer, stream)
        return stream.untilDirect(call.patienceMs)
      }
      case 'speak': {
        const stream = held.get(call.peer)
        if (stream === undefined) throw new Error('no stream is held')
        return stream.speak()
      }
      case 'linked':
        return { links: await linked(mesh, call.patienceMs) }
      case 'state': {
        const { links, estimatedPeers } = mesh.status()
        return { links: links.map(({ peer, path }) => `${peer.slice(0, 6)} ${nameOf(path)}`), estimatedPeers }
      }
      case 'ping': {
        const { roundTripsMs } = await mesh.ping(call.peer, { count: 5, intervalMs: 50 })
        return { roundTripMs: Math.min(...roundTripsMs) }
      }
    }
  }
}

async function meet(mesh: Mesh, { peer, bytes, patienceMs }: Call & { kind: 'meet' }): Promise<Met> {
  const wasLinked = isLinked(mesh, peer)
  const since = clock()
  const session = await mesh.connect(peer)
  let directMs = isWire(session.path) ? since() : null
  session.addEventListener('path', ({ path }) => {
    directMs = isWire(path) ? (directMs ?? since()) : null
  })
  const stream = await session.open('echo')
  const sent = new Uint8Array(bytes).map((_, i) => (i * 31 + (i >> 8)) & 255)
  let firstMs: number | null = null
  const back = (async () => {
    let at = 0
    for await (const chunk of stream) {
      firstMs ??= since()
      if (!chunk.every((byte, i) => byte === sent[at + i])) return false
      at += chunk.length
    }
    return at === bytes
  })()
  await stream.write(sent)
  await stream.end()
  const same = await back
  await untilWire(session, patienceMs - since())
  return { same, firstMs, path: nameOf(session.path), directMs, wasLinked }
}

async function firstByte(mesh: Mesh, peer: string): Promise<FirstByte> {
  const wasLinked = isLinked(mesh, peer)
  const since = clock()
  const session = await mesh.connect(peer)
  const connectMs = since()
  const stream = await session.open('echo')
  await stream.write(Uint8Array.of(1))
  for await (const _ of stream) break
  const firstMs = since()
  const { path } = session
  await stream.end()
  return { firstMs, connectMs, wasLinked, via: path.kind === 'circuit' ? path.via : [] }
}

class HeldStream {
  private readonly session: Session
  private readonly stream: MeshStream
  private readonly moves: string[] = []
  private readonly chunks: AsyncIterator<Uint8Array>

  private constructor(session: Session, stream: MeshStream) {
    this.session = session
    this.stream = stream
    this.chunks = stream[Symbol.asyncIterator]()
    session.addEventListener('path', ({ path }) => this.moves.push(nameOf(path)))
  }

  static async open(mesh: Mesh, peer: string): Promise<HeldStream> {
    const session = await mesh.connect(peer)
    const held = new HeldStream(session, await session.open('echo'))
    await held.speak()
    return held
  }

  async untilDirect(patienceMs: number): Promise<Held> {
    await untilWire(this.session, patienceMs)
    // Something over the path that is kept, and from here on nothing.
    await this.speak()
    this.moves.length = 0
    return { path: nameOf(this.session.path) }
  }

  async speak(): Promise<Spoken> {
    const since = clock()
    await this.stream.write(Uint8Array.of(1))
    const { done } = await this.chunks.next()
    if (done === true) throw new Error('the stream has ended')
    return { ms: since(), path: nameOf(this.session.path), moves: [...this.moves] }
  }
}

/** Resolves when it is one, or after so long. */
function untilWire(session: Session, patienceMs: number): Promise<void> {
  if (isWire(session.path) || patienceMs <= 0) return Promise.resolve()
  return new Promise(resolve => {
    const timer = setTimeout(resolve, patienceMs)
    session.addEventListener('path', ({ path }) => {
      if (!isWire(path)) return
      clearTimeout(timer)
      resolve()
    })
  })
}

function linked(mesh: Mesh, patienceMs: number): Promise<readonly string[]> {
  const links = (): string[] => mesh.status().links.map(({ peer }) => peer)
  if (links().length > 0) return Promise.resolve(links())
  return new Promise(resolve => {
    setTimeout(() => resolve(links()), patienceMs)
    mesh.addEventListener('link', () => resolve(links()))
  })
}

function isLinked(mesh: Mesh, peer: string): boolean {
  return mesh.status().links.some(link => link.peer === peer)
}

function clock(): () => number {
  const started = performance.now()
  return () => Math.round(performance.now() - started)
}

function isWire(path: PathView): boolean {
  return path.kind === 'wire'
}

function nameOf(path: PathView): string {
  return path.kind === 'wire' ? path.transport : path.kind
}
