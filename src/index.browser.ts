/** Webmesh in a browser: it dials WebSockets and cannot listen. The same exports as in Node (`index.node.ts`). */
import { type Mesh as RunningMesh, startMesh } from './mesh/mesh.ts'
import type { MeshOptions } from './mesh/mesh-options.ts'
import { browserMeshPlatform } from './mesh/mesh-platform.browser.ts'

/** One running peer with one identity. */
export type Mesh = RunningMesh

export const Mesh = {
  /**
   * Starts a peer: opens its store and ports, and joins the mesh through one of the ways in. Resolves when it is in;
   * at once where no way in is given. Errors: `invalid-option` and those of refs and addresses, `store-…`,
   * `no-way-in`, `aborted`; after an error nothing stays open.
   */
  start(options: MeshOptions = {}): Promise<Mesh> {
    return startMesh(browserMeshPlatform(), options)
  },
}

export type { Address } from './core/base/address.ts'
export type { FaultCode } from './core/base/fault.ts'
export type { PeerId } from './core/base/peer-id.ts'
export type { PeerRef } from './core/crypto/peer-ref.ts'
export { refText } from './core/crypto/peer-ref.ts'
export type { PathView, ServiceEntry } from './core/effect.ts'
export type { RelayLimits } from './core/overlay/relay-budget.ts'
export type { LinkView } from './core/peer-options.ts'
export type { NatStatus } from './host/own-network.ts'
export type { Waiting } from './mesh/abort.ts'
export type { JoinOptions, MeshEvents, MeshStatus, PingOptions, PingOutcome } from './mesh/mesh.ts'
export type {
  DatagramEvent,
  HandlerErrorEvent,
  LinkEvent,
  MemberEvent,
  MessageFromPeer,
  PathEvent,
  SelfEvent,
  SessionCloseEvent,
  TypedTarget,
  UnlinkEvent,
  WarningEvent,
} from './mesh/mesh-events.ts'
export type { MeshOptions } from './mesh/mesh-options.ts'
export type { Member, Service, ServiceEvents } from './mesh/mesh-service.ts'
export type { RoundTrip, Session, SessionEvents } from './mesh/mesh-session.ts'
export type { MeshStream } from './mesh/mesh-stream.ts'
export type { StreamHandler } from './mesh/stream-handler.ts'
export type { PeerLike } from './mesh/target.ts'
export { WebmeshError } from './mesh/webmesh-error.ts'
export type { PortMappingState } from './paths/port-mapping/port-mapping.ts'
