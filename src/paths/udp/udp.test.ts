import { negotiatedContract } from '../wire-contract.ts'
import { UdpNegotiator } from './udp-negotiator.node.ts'

negotiatedContract('punched UDP', () => {
  const negotiator = new UdpNegotiator()
  negotiator.serve('127.0.0.1', 0)
  return negotiator
})
