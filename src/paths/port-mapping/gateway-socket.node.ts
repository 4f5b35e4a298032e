/** Questions to one UDP port of a gateway, each asked again until it is answered; what others send does not come in. */
import { createSocket, type Socket } from 'node:dgram'

/** A datagram may be lost: asked again after these, as RFC 6886 does, and given up sooner, since most gateways are silent. */
const ASK_AFTER_MS: readonly number[] = [0, 250, 750]
const GIVE_UP_MS = 2_000

export class GatewaySocket {
  /** This machine's address on the way to the gateway. */
  readonly ownHost: string
  private readonly socket: Socket
  private heard: (bytes: Uint8Array) => void = () => {}
  private failed: () => void = () => {}
  private closed = false

  /** `from`: one address of this machine; any that leads there unless given. Null where no way leads there. */
  static open(host: string, port: number, from: string | undefined): Promise<GatewaySocket | null> {
    return new Promise(resolve => {
      const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
      const fail = (): void => {
        socket.close()
        resolve(null)
      }
      socket.once('error', fail)
      // Connected: the system passes on what comes from there alone, and says if nobody listens.
      const onConnect = (error?: Error | null): void => (error ? fail() : resolve(new GatewaySocket(socket)))
      socket.bind(0, from, () => socket.connect(port, host, onConnect))
    })
  }

  private constructor(socket: Socket) {
    this.socket = socket
    this.ownHost = socket.address().address
    socket.removeAllListeners('error')
    socket.on('error', () => this.failed())
    socket.on('message', bytes => this.heard(bytes))
  }

  /** The first answer that `read` takes (null: it is none); null where none came, or after `close`. One question at a time. */
  ask<Answer>(question: Uint8Array, read: (bytes: Uint8Array) => Answer | null): Promise<Answer | null> {
    if (this.closed) return Promise.resolve(null)
    return new Promise(resolve => {
      const timers: NodeJS.Timeout[] = []
      const finish = (answer: Answer | null): void => {
        for (const timer of timers) clearTimeout(timer)
        this.heard = () => {}
        this.failed = () => {}
        resolve(answer)
      }
      this.heard = bytes => {
        const answer = read(bytes)
        if (answer !== null) finish(answer)
      }
      this.failed = () => finish(null)
      const send = (): void => this.socket.send(question, error => error && finish(null))
      for (const delay of ASK_AFTER_MS) timers.push(setTimeout(send, delay))
      timers.push(setTimeout(() => finish(null), GIVE_UP_MS))
    })
  }

  /** Once, and whatever comes of it. */
  tell(message: Uint8Array): void {
    if (!this.closed) this.socket.send(message, () => {})
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.failed()
    this.socket.close()
  }
}
