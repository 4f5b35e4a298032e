/** The processes of a measurement. They end with the bench, and none outlives its row. */
import { fork, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SIDE = fileURLToPath(new URL('./side.js', import.meta.url))
const CALL_TIMEOUT_MS = 60_000

/**
 * @typedef {{
 *   call(name: string, argument?: unknown): Promise<any>,
 *   end(): Promise<void>,
 *   useCores(cores: string): boolean,
 *   signal(name: 'SIGSTOP' | 'SIGCONT'): void,
 * }} Side
 */

export class Processes {
  /** @type {Side[]} */
  #sides = []
  #profileFolder

  /** @param {string | null} profileFolder where each process writes its profiles, if it is to */
  constructor(profileFolder) {
    this.#profileFolder = profileFolder
  }

  /**
   * @param {string} name tells profiles apart
   * @param {string[]} execArgv options for V8
   * @returns {Side}
   */
  start(name, execArgv = []) {
    const side = startSide(name, this.#profileFolder, execArgv)
    this.#sides.push(side)
    return side
  }

  async endAll() {
    await Promise.all(this.#sides.splice(0).map(side => side.end()))
  }
}

/**
 * @param {string} name
 * @param {string | null} profileFolder
 * @param {string[]} options
 * @returns {Side}
 */
function startSide(name, profileFolder, options) {
  const child =
    profileFolder === null
      ? fork(SIDE, { execArgv: ['--expose-gc', ...options] })
      : fork(SIDE, [join(profileFolder, `${name}.heapprofile`)], {
          execArgv: [...options, '--cpu-prof', `--cpu-prof-dir=${profileFolder}`, `--cpu-prof-name=${name}.cpuprofile`],
        })
  /** @type {Map<number, { resolve: (value: unknown) => void, reject: (error: Error) => void }>} */
  const calls = new Map()
  let nextId = 1
  let gone = false
  const exited = new Promise(resolve => {
    child.once('exit', code => {
      gone = true
      for (const waiting of calls.values()) waiting.reject(new Error(`a process ended with ${code}`))
      resolve(null)
    })
  })
  child.on('message', message => {
    // reason: a side answers calls and says nothing else.
    const { id, value, error } = /** @type {{ id: number, value?: unknown, error?: string }} */ (message)
    const waiting = calls.get(id)
    calls.delete(id)
    if (error === undefined) waiting?.resolve(value)
    else waiting?.reject(new Error(error))
  })
  return {
    call(name, argument) {
      if (gone) return Promise.reject(new Error('the process is gone'))
      const id = nextId++
      return new Promise((resolve, reject) => {
        const limit = setTimeout(() => settle(reject)(new Error(`${name} took too long`)), CALL_TIMEOUT_MS)
        /**
         * @template T
         * @param {(value: T) => void} then
         */
        const settle = then => (/** @type {T} */ value) => {
          clearTimeout(limit)
          calls.delete(id)
          then(value)
        }
        calls.set(id, { resolve: settle(resolve), reject: settle(reject) })
        child.send({ id, name, argument })
      })
    },
    /** Where its threads may run, as `taskset` names them. False where there is no such command. */
    useCores(cores) {
      return spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, String(child.pid)]).status === 0
    },
    signal(name) {
      child.kill(name)
    },
    async end() {
      if (!gone) child.disconnect()
      const limit = setTimeout(() => child.kill('SIGKILL'), 5_000)
      await exited
      clearTimeout(limit)
    },
  }
}
