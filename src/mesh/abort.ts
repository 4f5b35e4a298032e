/** Waiting that an AbortSignal can end. Nothing here leaves a listener behind or a rejection unhandled. */
import { messageOf } from '../core/base/fault.ts'
import { invalidOption, WebmeshError } from './webmesh-error.ts'

/** What everything that waits takes. */
export interface Waiting {
  /** Ends the wait: the promise rejects with code `aborted`. */
  readonly signal?: AbortSignal | undefined
}

/** A promise with its ends outside. A rejection that nobody awaits stays silent. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: WebmeshError): void
}

export function deferred<T>(): Deferred<T> {
  let settle: { resolve(value: T): void; reject(error: WebmeshError): void } | null = null
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject }
  })
  promise.catch(ignore)
  // reason: the executor of a promise runs before its constructor returns.
  const { resolve, reject } = settle as unknown as { resolve(value: T): void; reject(error: WebmeshError): void }
  return { promise, resolve, reject }
}

/** Rejected, and silent where nobody awaits it. */
export function rejected(error: WebmeshError): Promise<never> {
  const promise = Promise.reject<never>(error)
  promise.catch(ignore)
  return promise
}

export function abortedError(signal: AbortSignal): WebmeshError {
  return new WebmeshError({ code: 'aborted', detail: messageOf(signal.reason) })
}

/** Also where what was given as a signal is none. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidOption('signal is an AbortSignal')
  if (signal?.aborted) throw abortedError(signal)
}

/** `wait`, or a rejection with `aborted` as soon as the signal says so; then `undo` is called. */
export function unlessAborted<T>(wait: Promise<T>, signal: AbortSignal | undefined, undo?: () => void): Promise<T> {
  if (signal === undefined) return wait
  const outcome = deferred<T>()
  const onAbort = (): void => {
    undo?.()
    outcome.reject(abortedError(signal))
  }
  if (signal.aborted) {
    wait.catch(ignore)
    onAbort()
    return outcome.promise
  }
  signal.addEventListener('abort', onAbort, { once: true })
  wait
    .then(outcome.resolve, outcome.reject)
    .finally(() => signal.removeEventListener('abort', onAbort))
    .catch(ignore)
  return outcome.promise
}

export function ignore(): void {}
