/**
 * The stream over which one peer asks another to dial it (spec 5.11): the place as text one way, one byte back. Who is asked
 * tries what can be dialled from anywhere, and no more than a little of it for anybody.
 */
import { type Address, addressText, parseAddress } from '../core/base/address.ts'
import { decodeUtf8, encodeUtf8 } from '../core/base/bytes.ts'
import { ExpiringSet } from '../core/base/expiring-set.ts'
import { isGlobalHost } from '../core/base/global-host.ts'
import type { PeerId } from '../core/base/peer-id.ts'
import type { HostClock } from '../host/platform.ts'
import type { DialVerdict } from './dial-back.ts'
import type { MeshStream } from './mesh-stream.ts'

/** What such a stream is opened for. */
export const DIAL_BACK_SUBJECT = 'webmesh/dial-back'

const PLACE_BYTES_MAX = 512
/** At one time, of all that are asked for. */
const DIALS_MAX = 8
/** One peer's next place is dialled so long after its last. */
const PAUSE_MS = 5_000
const PEERS_MAX = 1_024

const VERDICTS: readonly DialVerdict[] = ['reached', 'not-reached', 'not-tried']

export interface DialBackHelperOptions {
  readonly clock: HostClock
  /** Whether this very peer answers there; null where this machine has no way to such addresses. */
  readonly answersAt: (place: Address, peer: PeerId) => Promise<boolean | null>
}

export class DialBackHelper {
  private readonly options: DialBackHelperOptions
  private readonly served = new ExpiringSet<string>({ sizeMax: PEERS_MAX, lapseMs: PAUSE_MS })
  private dialling = 0

  constructor(options: DialBackHelperOptions) {
    this.options = options
  }

  readonly serve = async (stream: MeshStream, from: PeerId): Promise<void> => {
    const text = await readText(stream)
    const place = text === null ? null : parseAddress(text)
    const verdict = place?.ok ? await this.dial(place.value, from) : 'not-tried'
    await stream.write(Uint8Array.of(VERDICTS.indexOf(verdict)))
  }

  private async dial(place: Address, peer: PeerId): Promise<DialVerdict> {
    const { clock, answersAt } = this.options
    const isIp = place.host.includes(':') || /^[\d.]+$/.test(place.host)
    if (place.scheme !== 'tcp' || !isIp || !isGlobalHost(place.host)) return 'not-tried'
    // One of each family.
    const key = `${peer} ${place.host.includes(':')}`
    if (this.dialling >= DIALS_MAX || !this.served.add(key, clock.monotonicNow())) return 'not-tried'
    this.dialling += 1
    try {
      const answers = await answersAt(place, peer)
      return answers === null ? 'not-tried' : answers ? 'reached' : 'not-reached'
    } finally {
      this.dialling -= 1
    }
  }
}

/** Asks over a stream that is open. What is no answer says nothing. */
export async function askToDial(stream: MeshStream, place: Address, signal: AbortSignal): Promise<DialVerdict> {
  await stream.write(encodeUtf8(addressText(place)), { signal })
  await stream.end()
  const answer = await stream.read({ signal })
  return VERDICTS[answer?.[0] ?? 2] ?? 'not-tried'
}

async function readText(stream: MeshStream): Promise<string | null> {
  const read: number[] = []
  for await (const bytes of stream) {
    if (read.length + bytes.length > PLACE_BYTES_MAX) return null
    read.push(...bytes)
  }
  return decodeUtf8(Uint8Array.from(read))
}
