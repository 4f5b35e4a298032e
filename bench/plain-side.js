/** Plain `node:net` TCP doing what the mesh is measured at, with callbacks and no more than that: the yardstick. */
import { connect, createServer } from 'node:net'
import { rest } from './rest.js'

/** The first byte of a connection says what it is for; an unknown one is held and nothing happens on it. */
const ECHO = 0x45
const SINK = 0x53
const HOLD = 0x48
/** What a slow proxy may make up for after a pause. */
const SLOW_BURST_MS = 20

/** @type {import('node:net').Socket[]} */
const held = []

export const plainCommands = {
  /** @returns {Promise<number>} the port */
  plainListen() {
    return listen(socket => {
      socket.once('data', first => {
        const rest = first.subarray(1)
        if (first[0] === ECHO) {
          if (rest.length > 0) socket.write(rest)
          socket.on('data', chunk => socket.write(chunk))
          socket.on('end', () => socket.end())
        } else if (first[0] === SINK) {
          let bytes = rest.length
          socket.on('data', chunk => {
            bytes += chunk.length
          })
          socket.on('end', () => socket.end(String(bytes)))
        }
      })
    })
  },

  /**
   * A proxy made with `pipe`.
   * @param {number} target
   */
  plainProxy(target) {
    return listen(socket => {
      const onward = connect({ port: target, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
      onward.on('error', () => socket.destroy())
      socket.pipe(onward)
      onward.pipe(socket)
    })
  },

  /**
   * A proxy that passes on so many bytes a second from its target, and all of what goes there.
   * @param {{ target: number, bytesPerSecond: number }} options
   */
  plainSlowProxy({ target, bytesPerSecond }) {
    return listen(socket => {
      const onward = connect({ port: target, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
      onward.on('error', () => socket.destroy())
      socket.pipe(onward)
      const start = performance.now()
      let passed = 0
      onward.on('data', chunk => {
        socket.write(chunk)
        passed = Math.max(passed, ((performance.now() - start - SLOW_BURST_MS) * bytesPerSecond) / 1e3) + chunk.length
        const aheadMs = (passed * 1e3) / bytesPerSecond - (performance.now() - start)
        if (aheadMs <= 0) return
        onward.pause()
        setTimeout(() => onward.resume(), aheadMs)
      })
    })
  },

  /** @param {{ port: number, count: number, pauseMs: number }} options */
  async plainConnectsMs({ port, count, pauseMs }) {
    /** @type {number[]} */
    const times = []
    while (times.length < count) {
      await rest(pauseMs)
      times.push(await connectMs(port))
    }
    return times
  },

  /**
   * Seconds from the first write until the other side has said that it got all.
   * @param {{ port: number, totalBytes: number, writeBytes: number }} options
   */
  async plainBulk({ port, totalBytes, writeBytes }) {
    const socket = await open(port, SINK)
    const data = new Uint8Array(writeBytes).fill(7)
    const answered = answer(socket)
    const start = performance.now()
    let left = totalBytes
    await new Promise(resolve => {
      const more = () => {
        while (left > 0) {
          left -= writeBytes
          if (!socket.write(data) && left > 0) {
            socket.once('drain', more)
            return
          }
        }
        socket.end()
        resolve(null)
      }
      more()
    })
    const received = Number(await answered)
    if (received !== totalBytes) throw new Error(`${received} of ${totalBytes} bytes arrived`)
    return (performance.now() - start) / 1000
  },

  /**
   * Microseconds of each round trip.
   * @param {{ port: number, count: number, bytes: number }} options
   */
  async plainRoundTrips({ port, count, bytes }) {
    const socket = await open(port, ECHO)
    const data = new Uint8Array(bytes).fill(7)
    /** @type {number[]} */
    const times = []
    await new Promise(resolve => {
      let start = 0
      let got = 0
      const next = () => {
        got = 0
        start = performance.now()
        socket.write(data)
      }
      socket.on('data', chunk => {
        got += chunk.length
        if (got < bytes) return
        times.push((performance.now() - start) * 1000)
        if (times.length < count) next()
        else resolve(null)
      })
      next()
    })
    socket.destroy()
    return times
  },

  /**
   * Opens connections and keeps them.
   * @param {{ port: number, count: number }} options
   */
  async plainHold({ port, count }) {
    for (let i = 0; i < count; i += 1) held.push(await open(port, HOLD))
  },

  plainLetGo() {
    for (const socket of held.splice(0)) socket.destroy()
  },
}

/**
 * @param {(socket: import('node:net').Socket) => void} onSocket
 * @returns {Promise<number>} the port
 */
function listen(onSocket) {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, socket => {
      socket.on('error', () => socket.destroy())
      onSocket(socket)
    })
    server.on('error', reject)
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, () => {
      const address = server.address()
      if (address === null || typeof address === 'string') reject(new Error('no port'))
      else resolve(address.port)
    })
  })
}

/**
 * @param {number} port
 * @param {number} purpose
 * @returns {Promise<import('node:net').Socket>}
 */
function open(port, purpose) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true }, () => {
      socket.write(Uint8Array.of(purpose))
      resolve(socket)
    })
    socket.on('error', reject)
  })
}

/**
 * All that comes until the other side ends.
 * @param {import('node:net').Socket} socket
 * @returns {Promise<string>}
 */
function answer(socket) {
  return new Promise((resolve, reject) => {
    let text = ''
    socket.on('data', chunk => {
      text += chunk
    })
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
  })
}

/**
 * From the dial to the echo of the first byte.
 * @param {number} port
 * @returns {Promise<number>}
 */
function connectMs(port) {
  return new Promise((resolve, reject) => {
    const start = performance.now()
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.write(Uint8Array.of(ECHO, 1))
    socket.once('data', () => {
      const elapsedMs = performance.now() - start
      socket.destroy()
      resolve(elapsedMs)
    })
    socket.on('error', reject)
  })
}
