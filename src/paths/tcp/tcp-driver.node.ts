/** Dials `tcp://` addresses. A host name is tried on all of its addresses, IPv4 and IPv6 (RFC 8305, done by Node). */
import { connect } from 'node:net'
import type { Address } from '../../core/base/address.ts'
import { DIAL_TIMEOUT_MS, type Wire, type WireDriver, type WireSink } from '../wire-driver.ts'
import { TcpWire } from './tcp-wire.node.ts'

export function tcpDriver(dialTimeoutMs = DIAL_TIMEOUT_MS): WireDriver {
  return {
    schemes: ['tcp'],
    open(address: Address, sink: WireSink): Wire {
      const wire = new TcpWire()
      const socket = connect({ host: address.host, port: address.port, noDelay: true, onread: wire.onread })
      wire.attach(socket, sink)
      wire.limitDial(dialTimeoutMs)
      socket.once('connect', () => wire.opened())
      return wire
    },
  }
}
