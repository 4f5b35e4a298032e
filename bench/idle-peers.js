/**
 * Many peers in one process that do no more than hold a session with one server: real identities, handshakes, refs and
 * sockets, but no overlay behind them. Whole peers in one process would form a ring among themselves and measure that.
 * The one place where the bench reaches behind the package's door.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { PacketCipher } from '../dist/core/crypto/packet-cipher.js'
import { parseRefText, signPeerRef } from '../dist/core/crypto/peer-ref.js'
import { encodeOverlayMessage } from '../dist/core/overlay/overlay-messages.js'
import { continueHandshake, startHandshake } from '../dist/core/session/handshake.js'
import { Session } from '../dist/core/session/session.js'
import { Channel } from '../dist/core/session/session-owner.js'
import { Turn } from '../dist/core/turn.js'
import { nativeSuite as suite } from '../dist/host/native-suite.node.js'

const REF_LIFETIME_MS = 3_600_000
const LENGTH_BYTES = 4
const HEADER_BYTES = 8

/** @type {IdlePeer[]} */
const held = []

/**
 * @param {string} refText of the server
 * @param {number} count
 */
export async function holdIdlePeers(refText, count) {
  const server = parseRefText(suite, refText, Date.now())
  if (!server.ok) throw new Error(server.fault.code)
  for (let i = 0; i < count; i += 1) {
    const peer = new IdlePeer(server.value)
    await peer.opened
    held.push(peer)
  }
}

class IdlePeer {
  #identity = suite.identity(suite.randomBytes(32))
  /** @type {Session | null} */
  #session = null
  /** @type {Buffer} */
  #rest = Buffer.alloc(0)
  #socket
  #state
  #path
  opened

  /** @param {import('../dist/core/crypto/peer-ref.js').PeerRef} server */
  constructor(server) {
    const address = server.addresses.find(({ scheme }) => scheme === 'tcp')
    if (address === undefined) throw new Error('the server listens nowhere')
    const local = { suite, identity: this.#identity }
    const started = startHandshake({ ...local, remote: server.peer, localLabel: 1 })
    if (!started.ok) throw new Error(started.fault.code)
    this.#state = started.value.state
    const socket = connect({ host: address.host, port: address.port, noDelay: true })
    this.#socket = socket
    this.#path = {
      heardAt: 0,
      open: true,
      remoteHost: null,
      reliable: true,
      shields: () => false,
      flightBytesMax: 1_000_000,
      room: () => 1_000_000,
      /** @type {import('../dist/core/session/path.js').Path['send']} */
      send: (_turn, label, header, rest) => this.#send(label, header.subarray(HEADER_BYTES), rest),
      view: () => /** @type {const} */ ({ kind: 'none' }),
    }
    this.#send(0, started.value.packet, [])
    socket.on('data', chunk => this.#onData(chunk))
    socket.on('error', () => {})
    this.opened = once(socket, 'webmesh-open')
  }

  /**
   * @param {number} label
   * @param {Uint8Array} packet
   * @param {readonly Uint8Array[]} rest
   */
  #send(label, packet, rest) {
    const body = Buffer.concat([packet, ...rest])
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt32BE(body.length + HEADER_BYTES - LENGTH_BYTES, 0)
    header.writeUInt32BE(label, LENGTH_BYTES)
    this.#socket.write(Buffer.concat([header, body]))
  }

  /** @param {Buffer} chunk */
  #onData(chunk) {
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= HEADER_BYTES) {
      const end = LENGTH_BYTES + this.#rest.readUInt32BE(0)
      if (this.#rest.length < end) return
      this.#onPacket(new Uint8Array(this.#rest.subarray(HEADER_BYTES, end)))
      this.#rest = this.#rest.subarray(end)
    }
  }

  /** @param {Uint8Array} packet */
  #onPacket(packet) {
    const now = performance.now()
    const turn = new Turn(now, Date.now())
    if (this.#session === null) {
      const next = continueHandshake({ suite, identity: this.#identity, state: this.#state, packet })
      if (!next.ok) throw new Error(next.fault.code)
      this.#session = this.#newSession(next.value.established)
      this.#session.usePath(turn, this.#path)
      this.#session.sendMessage(turn, Channel.overlay, encodeOverlayMessage({ kind: 'hello', ref: this.#ref() }))
      this.#session.ping(turn, 1)
    } else this.#session.receive(turn, packet, this.#path)
    this.#session.flush(turn)
  }

  /**
   * @param {import('../dist/core/session/handshake.js').Established} established
   */
  #newSession({ cipher, sendKey, receiveKey, peer, remoteLabel }) {
    // What a session tells its owner goes unheard, but that the ping came back: the server has proven the session.
    const owner = new Proxy(
      { onPong: () => this.#socket.emit('webmesh-open') },
      { get: (target, name) => (name === 'onPong' ? target.onPong : () => {}) },
    )
    return new Session({
      id: 1,
      peer,
      initiator: true,
      remoteLabel,
      protection: new PacketCipher(suite, cipher, sendKey, receiveKey),
      // reason: see above; a proxy answers to every method.
      owner: /** @type {import('../dist/core/session/session-owner.js').SessionOwner} */ (
        /** @type {unknown} */ (owner)
      ),
    })
  }

  #ref() {
    const wallTime = Date.now()
    return signPeerRef(suite, this.#identity, {
      sequence: wallTime,
      expires: wallTime + REF_LIFETIME_MS,
      capacity: 12,
      relays: false,
      addresses: [],
      rendezvous: [],
    }).bytes
  }
}
