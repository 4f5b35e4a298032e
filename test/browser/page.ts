/** What runs in the page under test: the browser's door of the package, within reach of the test. */
import { parseAddress } from '../../src/core/base/address.ts'
import { openIndexedDbStore } from '../../src/host/indexeddb-store.browser.ts'
import type { Store } from '../../src/host/store.ts'
import {
  type LinkView,
  type Member,
  type MemberEvent,
  Mesh,
  type MeshStatus,
  type MeshStream,
  type MessageFromPeer,
  type PathView,
  type PeerRef,
  type PingOutcome,
  type RoundTrip,
  type Service,
  type Session,
  type SessionCloseEvent,
  WebmeshError,
} from '../../src/index.browser.ts'
import { webRtcDriver } from '../../src/paths/webrtc/webrtc.browser.ts'
import type { Wire } from '../../src/paths/wire-driver.ts'

const stores: Store[] = []
let mesh: Mesh | null = null
let service: Service | null = null
const heard: string[] = []
const wires = new Map<number, Wire>()

declare global {
  var wireEvent: (wire: number, kind: string, told: unknown) => void
}

let connections = 0
let connectionsMax = Number.POSITIVE_INFINITY
let refused = 0
const Native = globalThis.RTCPeerConnection
globalThis.RTCPeerConnection = class extends Native {
  constructor(configuration?: RTCConfiguration) {
    // As Chrome says it.
    if (connections >= connectionsMax) {
      refused += 1
      throw new DOMException('Cannot create so many PeerConnections', 'UnknownError')
    }
    super(configuration)
    connections += 1
  }
}

/** Bytes go between test and page as text, a character each. */
export interface PageUnderTest {
  openStore(place: string): Promise<number>
  load(store: number, prefix: string): Promise<{ key: string; value: string }[]>
  save(store: number, changes: { key: string; value: string | null }[]): Promise<string | null>
  closeStore(store: number): Promise<void>
  /** Opens a WebRTC wire to an address; what becomes of it is told to `wireEvent` of the test. */
  openWire(wire: number, address: string, timeoutMs: number | undefined): void
  sendOnWire(wire: number, bytes: string): void
  hangUpWire(wire: number): void
  /** How many RTCPeerConnections the page has made. */
  connections(): number
  /** From now on the browser makes no more of them. */
  refuseConnections(): void
  /** How many it was asked for since then. */
  refusedConnections(): number
  start(join: string, store: string): Promise<string>
  close(): Promise<void>
  /** Sends bytes to a peer by its id alone; what came back, and how it went there. */
  echo(peer: string, length: number): Promise<{ same: boolean; path: string }>
  links(): string[]
  /** Circuits of others that it carries. */
  relayed(): number
  /** Its WebRTC tells no candidates from now on: only those that tell some reach it. */
  hideCandidates(): void
  /** How the session with a peer travels now: the kind of path, and the transport of a wire. */
  pathTo(peer: string): Promise<string>
  join(name: string): Promise<void>
  members(): string[]
  broadcast(text: string): Promise<void>
  heard(): string[]
  /** By what names things are found on what the package gives out; the member is to broadcast meanwhile, and to leave. */
  names(service: string, member: string): Promise<Record<keyof Given, string[]>>
  /** What is said of an option that cannot be so. */
  wrongOption(name: string): Promise<string>
}

/** What the package gives out, by the names of its types. */
export interface Given {
  Mesh: Mesh
  MeshStatus: MeshStatus
  LinkView: LinkView
  PingOutcome: PingOutcome
  Session: Session
  RoundTrip: RoundTrip
  PathView: PathView & { kind: 'wire' }
  MeshStream: MeshStream
  Service: Service
  Member: Member
  PeerRef: PeerRef
  MessageFromPeer: MessageFromPeer
  MemberEvent: MemberEvent
  SessionCloseEvent: SessionCloseEvent
  WebmeshError: Omit<WebmeshError, keyof Error>
}

const page: PageUnderTest = {
  async openStore(place) {
    const opened = await openIndexedDbStore(place)
    if (!opened.ok) throw new Error(opened.fault.detail)
    return stores.push(opened.value.store) - 1
  },
  async load(store, prefix) {
    const loaded = await at(store).load(prefix)
    if (!loaded.ok) throw new Error(loaded.fault.detail)
    return loaded.value.map(({ key, value }) => ({ key, value: charsOf(value) }))
  },
  async save(store, changes) {
    const fault = await at(store).save(
      changes.map(({ key, value }) => ({ key, value: value === null ? null : bytesOfChars(value) })),
    )
    return fault?.code ?? null
  },
  closeStore: store => at(store).close(),

  openWire(wire, text, timeoutMs) {
    const address = parseAddress(text)
    const driver = webRtcDriver(timeoutMs)
    if (!address.ok || driver === null) throw new Error('no such address, or no WebRTC')
    const tell = (kind: string, told: unknown): void => globalThis.wireEvent(wire, kind, told)
    const opened = driver.open(address.value, {
      onOpen: ({ binding, ...about }) => tell('open', { ...about, binding: charsOf(binding ?? new Uint8Array()) }),
      onFrames: bytes => tell('frames', charsOf(bytes)),
      onWritten: bytes => tell('written', bytes),
      onClosed: fault => tell('closed', fault),
    })
    wires.set(wire, opened)
  },
  sendOnWire(wire, bytes) {
    wires.get(wire)?.send([bytesOfChars(bytes)], bytes.length)
  },
  hangUpWire: wire => wires.get(wire)?.hangUp(),
  connections: () => connections,
  refuseConnections() {
    connectionsMax = connections
  },
  refusedConnections: () => refused,

  async start(join, store) {
    mesh = await Mesh.start({ join: join === '' ? [] : [join], store: store === '' ? undefined : store })
    mesh.handle('echo', async stream => {
      for await (const chunk of stream) await stream.write(chunk)
    })
    return mesh.id
  },
  async close() {
    await mesh?.close()
  },
  async echo(peer, length) {
    const session = await running().connect(peer)
    const stream = await session.open('echo')
    const sent = Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 0xff)
    const back = (async () => {
      let at = 0
      let same = true
      for await (const chunk of stream) {
        same &&= chunk.every((byte, i) => byte === sent[at + i])
        at += chunk.length
      }
      return same && at === length
    })()
    await stream.write(sent)
    await stream.end()
    return { same: await back, path: session.path.kind }
  },
  links: () =>
    running()
      .status()
      .links.map(link => link.peer),
  relayed: () => running().status().circuitsRelayed,
  hideCandidates() {
    // The page counts its connections by a class of its own, which inherits it.
    const told = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(RTCPeerConnection.prototype), 'localDescription')
    Object.defineProperty(RTCPeerConnection.prototype, 'localDescription', {
      get() {
        const description: RTCSessionDescription | null = told?.get?.call(this)
        if (description === null) return null
        return { type: description.type, sdp: description.sdp.replace(/^a=candidate:.*\r\n/gm, '') }
      },
    })
  },
  async pathTo(peer) {
    const { path } = await running().ping(peer)
    return path.kind === 'wire' ? path.transport : path.kind
  },
  async join(name) {
    service = await running().join(name)
    service.addEventListener('message', event => heard.push(new TextDecoder().decode(event.data)))
  },
  members: () => service?.members.map(member => member.peer) ?? [],
  async broadcast(text) {
    await service?.broadcast(new TextEncoder().encode(text))
  },
  heard: () => heard,

  async names(name, peer) {
    const mesh = running()
    const service = await mesh.join(name)
    const message = new Promise<MessageFromPeer>(resolve => service.addEventListener('message', resolve))
    const coming = new Promise<MemberEvent>(resolve => service.addEventListener('member', resolve))
    const session = await mesh.connect(peer)
    const stream = await service.open(peer)
    const roundTrip = await session.ping()
    const status = mesh.status()
    const memberEvent = await coming
    const closed = new Promise<SessionCloseEvent>(resolve => session.addEventListener('close', resolve))
    const error = await mesh.find('no name').catch(error => error)
    // reason: a peer that listens is reached by a wire, is a link of the page, and shows its ref to members.
    const given = {
      Mesh: mesh,
      MeshStatus: status,
      LinkView: status.links[0]!,
      PingOutcome: await mesh.ping(peer),
      Session: session,
      RoundTrip: roundTrip,
      PathView: roundTrip.path,
      MeshStream: stream,
      Service: service,
      Member: memberEvent.member,
      PeerRef: mesh.peerRef,
      MessageFromPeer: await message,
      MemberEvent: memberEvent,
      WebmeshError: error,
    } as Omit<Given, 'SessionCloseEvent'>
    session.close()
    return namesOfEach({ ...given, SessionCloseEvent: await closed })
  },
  async wrongOption(name) {
    const started = await Mesh.start({ [name]: Number.NaN }).catch(error => error)
    if (started instanceof WebmeshError) return started.message
    await started.close()
    return ''
  },
}

/** Own and inherited. */
function namesOfEach(given: Given): Record<keyof Given, string[]> {
  const entries = Object.entries(given).map(([type, value]) => {
    const names = new Set<string>()
    for (let at: unknown = value; at !== null; at = Object.getPrototypeOf(at))
      for (const name of Object.getOwnPropertyNames(at)) names.add(name)
    return [type, [...names]]
  })
  return Object.fromEntries(entries)
}

function charsOf(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

function bytesOfChars(text: string): Uint8Array {
  return Uint8Array.from(text, char => char.charCodeAt(0))
}

function at(index: number): Store {
  const store = stores[index]
  if (store === undefined) throw new Error('no such store')
  return store
}

function running(): Mesh {
  if (mesh === null) throw new Error('not started')
  return mesh
}

Object.assign(globalThis, { page })
