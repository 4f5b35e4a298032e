/** The ports of one place to listen: TCP, shared by plain wires, WebSockets and HTTP, and UDP of the same number for WebRTC. */
import { ok, type Result } from '../core/base/fault.ts'
import { openSharedPort } from '../paths/shared-port/shared-port.node.ts'
import { readCertificate } from '../paths/webrtc/dtls-certificate.node.ts'
import { openWebRtcPort } from '../paths/webrtc/webrtc-port.node.ts'
import type { Listening, ListenOptions } from './platform.ts'

export async function openPorts(options: ListenOptions): Promise<Result<Listening>> {
  const shared = await openSharedPort(options)
  if (!shared.ok) return shared
  const { host, port } = shared.value
  const certificate = options.webrtc === null ? null : readCertificate(options.webrtc.certificate)
  const webrtc =
    certificate === null
      ? null
      : await openWebRtcPort({ host, port: options.webrtc?.port ?? port, certificate, accept: options.accept })
  return ok({
    host,
    port,
    webrtc: certificate === null || webrtc === null ? null : { port: webrtc.port, certificateHash: certificate.hash },
    async close() {
      await Promise.all([shared.value.close(), webrtc?.close()])
    },
  })
}
