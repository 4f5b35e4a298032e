/** Dials `ws://` and `wss://` addresses in Node. */
import { WebSocket } from 'ws'
import { type Address, addressText } from '../../core/base/address.ts'
import { plainHost } from '../tcp/tcp-wire.node.ts'
import { DIAL_TIMEOUT_MS, type Wire, type WireDriver, type WireSink } from '../wire-driver.ts'
import { MESSAGE_BYTES_MAX } from './message-packing.ts'
import { WsWire } from './ws-wire.node.ts'

export function wsDriver(dialTimeoutMs = DIAL_TIMEOUT_MS): WireDriver {
  return {
    schemes: ['ws', 'wss'],
    open(address: Address, sink: WireSink): Wire {
      const socket = new WebSocket(addressText(address), { perMessageDeflate: false, maxPayload: MESSAGE_BYTES_MAX })
      const wire = new WsWire(socket, () => sink)
      wire.limitDial(dialTimeoutMs)
      let remoteHost = address.host
      socket.once('upgrade', response => {
        remoteHost = plainHost(response.socket.remoteAddress ?? address.host)
      })
      socket.once('open', () => wire.opened(remoteHost, address.port))
      return wire
    },
  }
}
