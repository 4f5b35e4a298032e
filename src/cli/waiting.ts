/** Waiting for time or for the user, ended by the signal that Ctrl-C sets off. */

/** Resolves when the user wants an end. */
export function interrupted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else {
      // A pending promise alone keeps no process alive, and an idle peer may hold no socket.
      const alive = setInterval(() => {}, 60_000)
      signal.addEventListener('abort', () => {
        clearInterval(alive)
        resolve()
      })
    }
  })
}

/** Resolves after a while, or earlier when the user wants an end; tells which: false for the latter. */
export function pause(delayMs: number, signal: AbortSignal): Promise<boolean> {
  return new Promise(resolve => {
    if (signal.aborted) {
      resolve(false)
      return
    }
    const onAbort = (): void => {
      clearTimeout(timer)
      resolve(false)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort)
      resolve(true)
    }, delayMs)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
