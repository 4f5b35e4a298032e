/**
 * Who the peers of a world are: where they live, what they run on, how they are connected. All of it follows from a
 * seed and the shares of a `PeerMix`. Distances: points in a plane of six regions, in milliseconds one way (as Vivaldi's
 * coordinates, Dabek and others 2004), and the delay of each one's own access beside that.
 */
import { Rng } from '../core/base/rng.ts'
import type { NegotiatedTransport } from '../core/input.ts'
import type { PeerMix } from './scenario.ts'

export type NatClass = 'public' | 'cone' | 'symmetric' | 'blocked'
export type DeviceClass = 'server' | 'desktop' | 'tab'

export interface PeerProfile {
  /** Where it lives, in milliseconds one way. */
  readonly x: number
  readonly y: number
  /** Its way into the network and out of it. */
  readonly accessMs: number
  /** Index into `REGIONS`. */
  readonly region: number
  readonly nat: NatClass
  readonly device: DeviceClass
  readonly capacity: number
  /** What it sends at most, and what arrives at most over one wire. */
  readonly rateBytesPerMs: number
  /** How late it looks at what arrives and at its timers: 0 for most. */
  readonly lateMs: number
  /** Its wall clock less the true time. */
  readonly clockSkewMs: number
}

export interface NetworkModelOptions {
  readonly seed: number
  readonly mix: PeerMix
  /** Of packets. */
  readonly lossShare?: number
}

/** Centres, how far peers live from them, and the share of all peers: roughly the continents. */
export const REGIONS: readonly {
  readonly x: number
  readonly y: number
  readonly spreadMs: number
  readonly share: number
}[] = [
  { x: 0, y: 0, spreadMs: 8, share: 0.3 }, // Europe
  { x: -20, y: 3, spreadMs: 7, share: 0.2 }, // eastern North America
  { x: -34, y: 10, spreadMs: 6, share: 0.1 }, // western North America
  { x: -24, y: -38, spreadMs: 11, share: 0.12 }, // South America
  { x: 29, y: 29, spreadMs: 11, share: 0.2 }, // East Asia
  { x: 48, y: -14, spreadMs: 12, share: 0.08 }, // South Asia and Oceania
]

const CAPACITY: Readonly<Record<DeviceClass, number>> = { server: 256, desktop: 24, tab: 12 }
/** Least and greatest delay of the access; most lie near the least. */
const ACCESS_MS: Readonly<Record<DeviceClass, readonly [number, number]>> = {
  server: [0.5, 3],
  desktop: [1, 90],
  tab: [2, 180],
}
/** 100 Mbit/s and up for servers; from 4 Mbit/s for the others. */
const RATE_BYTES_PER_MS: Readonly<Record<DeviceClass, readonly [number, number]>> = {
  server: [12_500, 125_000],
  desktop: [1_250, 12_500],
  tab: [500, 6_250],
}
const SLOW_SHARE = 0.02
const SLOW_MS: readonly [number, number] = [50, 400]
const CLOCK_SKEW_MS_MAX = 120_000
/** TCP waits at least so long before it sends a lost packet again (Linux' least retransmission time-out). */
const RETRANSMIT_MS = 200
/** The same for the packets that open a wire. */
const OPENING_RETRANSMIT_MS = 1_000
const RETRANSMITS_MAX = 8
/** What one packet of the network carries of a wire. */
const SEGMENT_BYTES = 1_400

/** Of tries between a symmetric NAT and a port-restricted one, by sprayed ports (HyperDHT does as well). */
const SPRAYED_SHARE = 0.9

/** What a caller has decided of a peer before it is drawn. */
export interface SettledProfile {
  readonly public?: boolean
  readonly device?: DeviceClass
}

export class NetworkModel {
  readonly lossShare: number
  private readonly mix: PeerMix
  private readonly profiles: Rng
  private readonly losses: Rng
  private readonly punches: Rng

  constructor(options: NetworkModelOptions) {
    const rng = new Rng(options.seed)
    this.profiles = rng.fork('profiles')
    this.losses = rng.fork('losses')
    this.punches = rng.fork('punches')
    this.mix = options.mix
    this.lossShare = options.lossShare ?? 0
  }

  /** The next peer. Every draw takes as many random numbers, so that what is settled for one changes no other. */
  draw(settled: SettledProfile = {}): PeerProfile {
    const rng = this.profiles
    const home = regionAt(rng.unit())
    const { x, y, spreadMs } = REGIONS[home]!
    const atX = x + spreadMs * bell(rng)
    const atY = y + spreadMs * bell(rng)
    const drawnDevice = this.deviceAt(rng.unit())
    const natUnit = rng.unit()
    const accessUnit = rng.unit()
    const rateUnit = rng.unit()
    const isSlow = rng.unit() < SLOW_SHARE
    const lateMs = between(SLOW_MS, rng.unit())
    const clockSkewMs = Math.round(CLOCK_SKEW_MS_MAX * bell(rng))
    // Who is settled to be behind a NAT is no server, and nobody can dial a tab.
    const impossible = settled.public === false ? 'server' : settled.public === true ? 'tab' : null
    const device = settled.device ?? (drawnDevice === impossible ? 'desktop' : drawnDevice)
    const cubedUnit = accessUnit * accessUnit * accessUnit
    return {
      x: atX,
      y: atY,
      accessMs: between(ACCESS_MS[device], cubedUnit * cubedUnit),
      region: home,
      nat: this.natAt(device, natUnit, settled.public),
      device,
      capacity: CAPACITY[device],
      rateBytesPerMs: between(RATE_BYTES_PER_MS[device], rateUnit * rateUnit),
      lateMs: isSlow && device !== 'server' ? lateMs : 0,
      clockSkewMs,
    }
  }

  /** How late TCP gets a write of so many bytes through, for what was lost of it: 0 for most. */
  drawRetransmitMs(bytes: number, roundTripMs: number): number {
    const { lossShare } = this
    if (lossShare <= 0) return 0
    let keptShare = 1 - lossShare
    for (let at = SEGMENT_BYTES; at < bytes; at += SEGMENT_BYTES) keptShare *= 1 - lossShare
    if (this.losses.unit() < keptShare) return 0
    return this.drawRepeatsMs(Math.max(RETRANSMIT_MS, roundTripMs))
  }

  /** The same for the two packets that open a wire. */
  drawOpeningMs(): number {
    const { lossShare } = this
    if (lossShare <= 0) return 0
    const keptShare = (1 - lossShare) * (1 - lossShare)
    return this.losses.unit() < keptShare ? 0 : this.drawRepeatsMs(OPENING_RETRANSMIT_MS)
  }

  /** Whether a try that succeeds so often does. */
  drawPunch(share: number): boolean {
    return this.punches.unit() < share
  }

  /** Each time it is lost again TCP waits twice as long. */
  private drawRepeatsMs(waitMs: number): number {
    let totalMs = waitMs
    let nextMs = waitMs * 2
    for (let i = 1; i < RETRANSMITS_MAX && this.losses.unit() < this.lossShare; i += 1) {
      totalMs += nextMs
      nextMs *= 2
    }
    return totalMs
  }

  private deviceAt(unit: number): DeviceClass {
    const { server, tab } = this.mix.device
    if (unit < server) return 'server'
    return unit < 1 - tab ? 'desktop' : 'tab'
  }

  /** All servers are public; what is left of the public share falls to desktops first, then to tabs. */
  private natAt(device: DeviceClass, unit: number, settledPublic: boolean | undefined): NatClass {
    const { nat, device: devices } = this.mix
    if (device === 'server' || settledPublic === true) return 'public'
    const left = Math.max(0, nat.public - devices.server)
    const ofDesktops = devices.desktop > 0 ? Math.min(1, left / devices.desktop) : 0
    const overLeft = Math.max(0, left - devices.desktop)
    const ofTabs = devices.tab > 0 ? Math.min(1, overLeft / devices.tab) : 0
    const publicShare = settledPublic === false ? 0 : device === 'desktop' ? ofDesktops : ofTabs
    if (unit < publicShare) return 'public'
    const hidden = nat.cone + nat.symmetric + nat.blocked
    if (hidden <= 0) return 'cone'
    const at = publicShare < 1 ? ((unit - publicShare) / (1 - publicShare)) * hidden : 0
    if (at < nat.cone) return 'cone'
    return at < nat.cone + nat.symmetric ? 'symmetric' : 'blocked'
  }
}

/** Of a world without a model: all in one place, without a bound. */
export function plainProfile(isPublic: boolean): PeerProfile {
  return {
    x: 0,
    y: 0,
    accessMs: 0,
    region: 0,
    nat: isPublic ? 'public' : 'cone',
    device: 'desktop',
    capacity: CAPACITY.desktop,
    rateBytesPerMs: Number.POSITIVE_INFINITY,
    lateMs: 0,
    clockSkewMs: 0,
  }
}

/**
 * The share of tries in which two peers get a wire through their NATs. All cone NATs count as port-restricted, as most are.
 * WebRTC sprays no ports. A peer whose UDP is blocked can only dial those that are public.
 */
export function punchShare(a: NatClass, b: NatClass, transport: NegotiatedTransport): number {
  if (a === 'blocked' || b === 'blocked') return 0
  if (a === 'public' || b === 'public') return 1
  if (a === 'symmetric' && b === 'symmetric') return 0
  if (a === 'cone' && b === 'cone') return 1
  return transport === 'udp' ? SPRAYED_SHARE : 0
}

/** One way, the same in both directions. */
export function latencyMs(a: PeerProfile, b: PeerProfile): number {
  const dx = a.x - b.x
  const dy = a.y - b.y
  return Math.sqrt(dx * dx + dy * dy) + a.accessMs + b.accessMs
}

function regionAt(unit: number): number {
  let below = 0
  for (const [index, region] of REGIONS.entries()) {
    below += region.share
    if (unit < below) return index
  }
  return 0
}

/** Around 0, from -1 to 1: three uniform numbers added. */
function bell(rng: Rng): number {
  return (2 * (rng.unit() + rng.unit() + rng.unit())) / 3 - 1
}

function between(range: readonly [number, number], unit: number): number {
  return range[0] + (range[1] - range[0]) * unit
}
