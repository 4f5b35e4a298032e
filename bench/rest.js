/**
 * A pause between two of the same; without one only the event loop goes round, so that nothing runs hotter than it would
 * and nothing sleeps.
 * @param {number} pauseMs
 * @returns {Promise<void>}
 */
export function rest(pauseMs) {
  return new Promise(resolve => {
    if (pauseMs > 0) setTimeout(resolve, pauseMs)
    else setImmediate(resolve)
  })
}
