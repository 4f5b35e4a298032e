/** The events that a user listens to, each an `Event` with its facts as fields, and the typing of `addEventListener`. */
import type { PeerId } from '../core/base/peer-id.ts'
import type { PeerRef } from '../core/crypto/peer-ref.ts'
import type { PathView } from '../core/effect.ts'
import type { Member } from './mesh-service.ts'
import type { WebmeshError } from './webmesh-error.ts'

/** An EventTarget whose event names are known: `Events` maps each name to its event. */
export interface TypedTarget<Events> {
  addEventListener<Name extends keyof Events & string>(
    type: Name,
    listener: ((event: Events[Name]) => void) | null,
    options?: boolean | { capture?: boolean; once?: boolean; passive?: boolean; signal?: AbortSignal },
  ): void
  removeEventListener<Name extends keyof Events & string>(
    type: Name,
    listener: ((event: Events[Name]) => void) | null,
    options?: boolean | { capture?: boolean },
  ): void
}

/** Where events are given out. */
export type EventSink = Pick<EventTarget, 'dispatchEvent'>

/** The platform's EventTarget, typed. */
// reason: it is the same class; only the names and types of its events are narrower.
export const TypedEventTarget = EventTarget as unknown as new <Events>() => TypedTarget<Events> & EventSink

/** A broadcast that reached this member of a service. */
export class MessageFromPeer extends Event {
  readonly data: Uint8Array
  readonly from: PeerId

  constructor(from: PeerId, data: Uint8Array) {
    super('message')
    this.from = from
    this.data = data
  }
}

/** A member of a service appeared or went. */
export class MemberEvent extends Event {
  readonly member: Member
  readonly peer: PeerId
  /** False when it went. */
  readonly present: boolean

  constructor(member: Member, present: boolean) {
    super('member')
    this.member = member
    this.peer = member.peer
    this.present = present
  }
}

/** The overlay chose a session to keep. */
export class LinkEvent extends Event {
  readonly peer: PeerId
  /** near, far, random, public or guest. */
  readonly role: string
  readonly path: PathView

  constructor(peer: PeerId, role: string, path: PathView) {
    super('link')
    this.peer = peer
    this.role = role
    this.path = path
  }
}

/** A link ended; `error` says why. */
export class UnlinkEvent extends Event {
  readonly peer: PeerId
  readonly error: WebmeshError

  constructor(peer: PeerId, error: WebmeshError) {
    super('unlink')
    this.peer = peer
    this.error = error
  }
}

/** This peer's own ref changed: a newer one to give to others. */
export class SelfEvent extends Event {
  /** As text, `webmesh:…`. */
  readonly ref: string
  readonly peerRef: PeerRef

  constructor(ref: string, peerRef: PeerRef) {
    super('self')
    this.ref = ref
    this.peerRef = peerRef
  }
}

/** The session's packets travel another way now. */
export class PathEvent extends Event {
  readonly path: PathView

  constructor(path: PathView) {
    super('path')
    this.path = path
  }
}

/** The session ended; `error` says why (code `closed` where one side closed it in order). */
export class SessionCloseEvent extends Event {
  readonly error: WebmeshError

  constructor(error: WebmeshError) {
    super('close')
    this.error = error
  }
}

/** Bytes that came on their own: whole or not at all, in any order. */
export class DatagramEvent extends Event {
  readonly data: Uint8Array
  readonly from: PeerId

  constructor(from: PeerId, data: Uint8Array) {
    super('datagram')
    this.from = from
    this.data = data
  }
}

/** Something went wrong that the peer goes on without. */
export class WarningEvent extends Event {
  readonly error: WebmeshError

  constructor(error: WebmeshError) {
    super('warning')
    this.error = error
  }
}

/** A handler threw or rejected; its stream was reset. Without `preventDefault()` it is written to the console. */
export class HandlerErrorEvent extends Event {
  readonly error: unknown
  readonly from: PeerId
  readonly subject: string

  constructor(error: unknown, from: PeerId, subject: string) {
    super('handlererror', { cancelable: true })
    this.error = error
    this.from = from
    this.subject = subject
  }
}
