/** A gateway that speaks PCP, or NAT-PMP where it knows no better: both on one port, asked by single datagrams to it alone. */
import { randomBytes } from 'node:crypto'
import { GatewaySocket } from './gateway-socket.node.ts'
import { addressRequest, mappingRequest, readAddressAnswer, readMappingAnswer } from './nat-pmp.ts'
import { GATEWAY_PORT, NONCE_BYTES, pcpRequest, readPcpAnswer } from './pcp.ts'
import type { Gateway, Grant, PortToMap } from './port-mapping.ts'

const SILENT = 'no answer'

export class PcpGateway implements Gateway {
  readonly protocol = 'pcp'
  readonly host: string
  private readonly socket: GatewaySocket
  private readonly nonce = new Uint8Array(randomBytes(NONCE_BYTES))

  constructor(host: string, socket: GatewaySocket) {
    this.host = host
    this.socket = socket
  }

  async map(port: PortToMap, wanted: number, seconds: number): Promise<Grant> {
    const { nonce } = this
    const { ownHost } = this.socket
    const answer = await this.socket.ask(pcpRequest({ nonce, ownHost, port, wanted, seconds }), bytes =>
      readPcpAnswer(bytes, { nonce, port }),
    )
    if (answer?.kind === 'granted') return answer
    throw new Error(answer === null ? SILENT : answer.kind === 'refused' ? answer.why : 'it speaks another version')
  }

  async unmap(port: PortToMap): Promise<void> {
    await this.map(port, 0, 0).catch(() => {})
  }

  giveUp(port: PortToMap): void {
    const { nonce } = this
    this.socket.tell(pcpRequest({ nonce, ownHost: this.socket.ownHost, port, wanted: 0, seconds: 0 }))
  }

  close(): void {
    this.socket.close()
  }
}

export class NatPmpGateway implements Gateway {
  readonly protocol = 'nat-pmp'
  readonly host: string
  private readonly socket: GatewaySocket

  constructor(host: string, socket: GatewaySocket) {
    this.host = host
    this.socket = socket
  }

  async map(port: PortToMap, wanted: number, seconds: number): Promise<Grant> {
    const host = told(await this.socket.ask(addressRequest(), readAddressAnswer))
    return { host, ...told(await this.ask(port, wanted, seconds)) }
  }

  async unmap(port: PortToMap): Promise<void> {
    await this.ask(port, 0, 0)
  }

  giveUp(port: PortToMap): void {
    this.socket.tell(mappingRequest(port, 0, 0))
  }

  close(): void {
    this.socket.close()
  }

  private ask(port: PortToMap, wanted: number, seconds: number): Promise<ReturnType<typeof readMappingAnswer>> {
    return this.socket.ask(mappingRequest(port, wanted, seconds), bytes => readMappingAnswer(bytes, port))
  }
}

function told<Value>(
  answer: { readonly kind: 'told'; readonly value: Value } | { readonly kind: 'refused'; readonly why: string } | null,
): Value {
  if (answer?.kind === 'told') return answer.value
  throw new Error(answer?.why ?? SILENT)
}

export async function openPcp(host: string, from: string | undefined): Promise<PcpGateway | null> {
  const socket = await GatewaySocket.open(host, GATEWAY_PORT, from)
  return socket === null ? null : new PcpGateway(host, socket)
}

export async function openNatPmp(host: string, from: string | undefined): Promise<NatPmpGateway | null> {
  const socket = await GatewaySocket.open(host, GATEWAY_PORT, from)
  return socket === null ? null : new NatPmpGateway(host, socket)
}
