/** Whether a peer answers at a place: by the page that its port shows to plain HTTP, which says whose it is. */
import { get } from 'node:http'
import type { Address } from '../core/base/address.ts'
import type { PeerId } from '../core/base/peer-id.ts'

const PATIENCE_MS = 3_000
const REPORT_BYTES_MAX = 65_536
/** There is no way from this machine to any such address: of the place that says nothing. */
const NO_WAY = new Set(['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EMFILE', 'ENFILE'])

export function answersAt({ host, port }: Address, peer: PeerId): Promise<boolean | null> {
  return new Promise(resolve => {
    const request = get({ host, port, path: '/health', agent: false, signal: AbortSignal.timeout(PATIENCE_MS) })
    request.on('error', error => resolve('code' in error && NO_WAY.has(String(error.code)) ? null : false))
    request.on('response', response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
        if (text.length > REPORT_BYTES_MAX) request.destroy()
      })
      response.on('error', () => resolve(false))
      response.on('close', () => resolve(isReportOf(text, peer)))
    })
  })
}

function isReportOf(text: string, peer: PeerId): boolean {
  try {
    return (JSON.parse(text) as { readonly peer?: unknown } | null)?.peer === peer
  } catch {
    return false
  }
}
