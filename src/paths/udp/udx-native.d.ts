/** What is used of `udx-native`, which brings no types. */
declare module 'udx-native' {
  import type { EventEmitter } from 'node:events'

  interface UdxAddress {
    readonly host: string
    readonly family: 4 | 6
    readonly port: number
  }

  class UdxSocket extends EventEmitter {
    bind(port?: number, host?: string): void
    address(): UdxAddress | null
    /** Throws where the host is no IP address. */
    trySend(bytes: Uint8Array, port: number, host: string): void
    /** Resolves when its streams are over as well. */
    close(): Promise<void>
    on(event: 'message', listener: (bytes: Uint8Array, from: UdxAddress) => void): this
  }

  class UdxStream extends EventEmitter {
    readonly id: number
    connect(socket: UdxSocket, remoteId: number, port: number, host: string): void
    /** False where it is better to wait for 'drain'. */
    write(bytes: Uint8Array): boolean
    end(): void
    destroy(error?: Error): void
    setKeepalive(intervalMs: number): void
    on(event: 'data', listener: (bytes: Uint8Array) => void): this
    on(event: 'drain' | 'end' | 'close', listener: () => void): this
    on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): this
  }

  export default class Udx {
    createSocket(options?: { readonly ipv6Only?: boolean }): UdxSocket
    createStream(id: number): UdxStream
  }
  export type { UdxAddress, UdxSocket, UdxStream }
}
