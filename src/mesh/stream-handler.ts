/** What a user does with streams that others open, and what happens when that fails. */
import type { PeerId } from '../core/base/peer-id.ts'
import { ignore } from './abort.ts'
import { type EventSink, HandlerErrorEvent } from './mesh-events.ts'
import { type MeshStream, type OpenStream, RESET_HANDLER_FAILED } from './mesh-stream.ts'
import { invalidOption } from './webmesh-error.ts'

/** `from` is the peer that opened the stream. */
export type StreamHandler = (stream: MeshStream, from: PeerId) => void | Promise<void>

export function mustBeHandler(handler: unknown): void {
  if (handler !== null && typeof handler !== 'function') throw invalidOption('a handler is a function, or null')
}

/** Runs a handler; a handler that throws costs its stream, and is reported on `target`. */
export function runHandler(handler: StreamHandler, stream: OpenStream, target: EventSink): void {
  const failed = (error: unknown): void => {
    // The stream's own end, passed on by a handler that did not catch it, is no fault of the handler.
    if (stream.endedBy(error)) return
    stream.reset(RESET_HANDLER_FAILED)
    const event = new HandlerErrorEvent(error, stream.peer, stream.subject)
    if (target.dispatchEvent(event)) console.error(`webmesh: the handler of "${stream.subject}" failed:`, error)
  }
  try {
    // reason: a short arrow function gives back whatever its one expression is.
    const outcome = handler(stream, stream.peer) as unknown
    if (outcome instanceof Promise) outcome.then(() => stream.end().catch(ignore), failed)
  } catch (error) {
    failed(error)
  }
}
