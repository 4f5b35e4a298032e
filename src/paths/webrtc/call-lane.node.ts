/**
 * Datagrams between a place that a caller is seen at and the connection made for the call, which sees this lane's socket instead: as a
 * NAT would, but to loopback.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { CALL_EARLY_DATAGRAMS_MAX } from '../../core/limits.ts'
import { type CalledEnd, LOOPBACK } from './called-end.node.ts'

export class Lane {
  private readonly socket: Socket
  private state: 'opening' | 'open' | 'closed' = 'opening'
  private early: Uint8Array[] = []

  constructor(end: CalledEnd, outward: (bytes: Uint8Array) => void, from: RemoteInfo) {
    this.socket = createSocket('udp4')
    this.socket.on('error', ignore)
    this.socket.on('message', outward)
    this.socket.bind(0, LOOPBACK, () => {
      if (this.state === 'closed') return
      end.addLane(this.socket.address().port, from)
      end.onPort(port => this.connect(port))
    })
  }

  inward(bytes: Uint8Array): void {
    if (this.state === 'open') this.socket.send(bytes)
    else if (this.state === 'opening' && this.early.length < CALL_EARLY_DATAGRAMS_MAX) this.early.push(bytes)
  }

  close(): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    this.early = []
    this.socket.close()
  }

  private connect(port: number): void {
    if (this.state !== 'opening') return
    this.socket.connect(port, LOOPBACK, () => {
      if (this.state !== 'opening') return
      this.state = 'open'
      for (const bytes of this.early.splice(0)) this.socket.send(bytes)
    })
  }
}

/** What cannot be sent is as if it were lost on the way. */
function ignore(): void {}
