/** What `Mesh.start` takes, checked whole before anything is opened: unknown keys are refused, so that a typing error is seen. */
import { type Address, parseAddress } from '../core/base/address.ts'
import { fail, ok, type Result } from '../core/base/fault.ts'
import type { WallTime } from '../core/base/instant.ts'
import { type PeerRef, REF_ADDRESSES_MAX, REF_RENDEZVOUS_MAX } from '../core/crypto/peer-ref.ts'
import type { CryptoSuite } from '../core/crypto/suite.ts'
import type { Target } from '../core/input.ts'
import type { RelayLimits } from '../core/overlay/relay-budget.ts'
import { parseSource, type WayInSource } from '../waysin/way-in-source.ts'
import type { Waiting } from './abort.ts'
import { targetFault, targetOf } from './target.ts'

export interface MeshOptions extends Waiting {
  /**
   * Where identity, remembered peers and records are kept: a folder in Node, a database's name in a browser. Without it
   * they live in memory, and each start makes a new identity.
   */
  readonly store?: string | undefined
  /** Where to take connections, as `host:port`: `0.0.0.0:4100`, `[::]:4100`, `127.0.0.1:0` (any free port). */
  readonly listen?: readonly string[] | undefined
  /**
   * Ways into the mesh, all tried side by side; any one that works is enough. Refs (`webmesh:…` or objects), addresses
   * (`tcp://host:port`), URLs whose JSON lists refs (`https://host/refs.json`), DNS names whose TXT records hold refs
   * (`dns:name`, `dns://server:53/name`; Node only).
   */
  readonly join?: readonly (string | PeerRef)[] | undefined
  /**
   * Addresses to tell others instead of the bound ones: `tcp://my.example:4100` where a port is forwarded, `wss://my.example:443`
   * where a proxy ends TLS, `webrtc://203.0.113.5:4100`, to which the hash of this peer's certificate is added.
   */
  readonly announce?: readonly string[] | undefined
  /**
   * The UDP port of each place that listens for WebRTC from pages, which need no TLS certificate for it: the number of the TCP port
   * unless given, 0 for any, false for none.
   */
  readonly webrtcPort?: number | false | undefined
  /** The UDP port for STUN and punched wires of a peer that listens; the one above its first port unless given, 0 for any. */
  readonly udpPort?: number | undefined
  /**
   * Whether to have the port that listens, and those of UDP and WebRTC, mapped by the network's gateway (PCP, NAT-PMP, UPnP), so that others can
   * dial a peer behind a NAT, and its firewall opened to them by IPv6 (PCP); true unless given. Nothing is done, or sent, where the
   * peer listens on loopback only, has a public address by IPv4 already, or `announce` says where it is reached. Node only.
   */
  readonly portMapping?: boolean | undefined
  /** Whether tabs of one origin show each other the way in; true unless given. Browsers only. */
  readonly tabs?: boolean | undefined
  /** Whether peers of the local network show each other the way in, by mDNS; false unless given, since it tells of this one. Node only. */
  readonly lan?: boolean | undefined
  /** Whether the peers that the store remembers are ways in; true unless given. By `false` they are forgotten: as for another mesh. */
  readonly remembered?: boolean | undefined
  /** How many links to carry, 4 to 4,096; without it what suits the platform. */
  readonly capacity?: number | undefined
  /**
   * Whether to forward circuits for others; true unless given. An object bounds it: so many bytes a second, so many circuits
   * in all.
   */
  readonly relays?: boolean | RelayLimits | undefined
  /** How many rendezvous to name where nobody can dial this peer, 1 to 4; 3 unless given. */
  readonly rendezvous?: number | undefined
  /**
   * How long streams wait where there is no path to the peer at all, in milliseconds, 1,000 to 604,800,000; 120,000 unless given.
   * After that the session ends with `session-lost`.
   */
  readonly pathlessMs?: number | undefined
}

export interface ListenPoint {
  readonly host: string
  readonly port: number
}

export interface CheckedOptions {
  readonly store: string | undefined
  readonly listen: readonly ListenPoint[]
  readonly waysIn: readonly Target[]
  readonly sources: readonly WayInSource[]
  readonly announce: readonly Address[] | null
  readonly webrtcPort: number | false | undefined
  readonly udpPort: number | undefined
  readonly portMapping: boolean
  readonly tabs: boolean
  readonly lan: boolean
  readonly remembered: boolean
  readonly capacity: number | undefined
  readonly relays: boolean
  readonly relayLimits: RelayLimits
  readonly rendezvous: number | undefined
  readonly pathlessMs: number | undefined
  readonly signal: AbortSignal | undefined
}

export const CAPACITY_MIN = 4
export const CAPACITY_MAX = 4096
const PATHLESS_MS_MIN = 1_000
/** Refs live a week: then nobody is found any more. */
const PATHLESS_MS_MAX = 604_800_000
const LISTEN_MAX = 16
const WAYS_IN_MAX = 256

/** What an option must be where it is given, and how that is said. */
type Rule = readonly [isValid: (value: unknown) => boolean, text: string]

function whole(min: number, max: number): Rule {
  return [value => Number.isInteger(value) && isWithin(value, min, max), `a whole number from ${min} to ${max}`]
}

const PORT = whole(0, 65_535)
const LIST: Rule = [Array.isArray, 'a list']
const SWITCH: Rule = [value => typeof value === 'boolean', 'true or false']

const RULES: Readonly<Record<keyof MeshOptions, Rule>> = {
  store: [value => typeof value === 'string' && value !== '', 'a folder as text'],
  listen: LIST,
  join: LIST,
  announce: LIST,
  webrtcPort: [value => value === false || PORT[0](value), `${PORT[1]}, or false`],
  udpPort: PORT,
  portMapping: SWITCH,
  tabs: SWITCH,
  lan: SWITCH,
  remembered: SWITCH,
  capacity: whole(CAPACITY_MIN, CAPACITY_MAX),
  relays: [
    value => relayLimitsOf(value) !== null,
    'true, false, or an object with bytesPerSecond and circuits, whole numbers above 0',
  ],
  rendezvous: whole(1, REF_RENDEZVOUS_MAX),
  pathlessMs: [
    value => isWithin(value, PATHLESS_MS_MIN, PATHLESS_MS_MAX),
    `a number from ${PATHLESS_MS_MIN} to ${PATHLESS_MS_MAX}`,
  ],
  signal: [value => value instanceof AbortSignal, 'an AbortSignal'],
}

/** Faults: `invalid-option`, and those of a way in or an address that cannot be read. */
export function checkOptions(suite: CryptoSuite, now: WallTime, options: unknown): Result<CheckedOptions> {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    return invalid('Mesh.start() takes an object of options')
  const rules = new Map<string, Rule>(Object.entries(RULES))
  for (const [name, value] of Object.entries(options)) {
    const rule = rules.get(name)
    if (rule === undefined)
      return invalid(`there is no option "${name}"; known ones are ${[...rules.keys()].join(', ')}`)
    const [isValid, text] = rule
    if (value !== undefined && !isValid(value)) return invalid(`${name} is ${text}`)
  }
  // reason: each value was looked at just above, but those within lists, which are below.
  const given = options as MeshOptions
  const { store, webrtcPort, udpPort, capacity, relays, rendezvous, pathlessMs, signal } = given
  const listen = each('listen', given.listen, LISTEN_MAX, parseListenPoint)
  if (!listen.ok) return listen
  const join = each('join', given.join, WAYS_IN_MAX, way => wayInOf(suite, now, way))
  if (!join.ok) return join
  const announce = each('announce', given.announce, REF_ADDRESSES_MAX, parseAnnounced)
  if (!announce.ok) return announce
  return ok({
    store,
    listen: listen.value,
    waysIn: join.value.flatMap(way => ('target' in way ? [way.target] : [])),
    sources: join.value.flatMap(way => ('source' in way ? [way.source] : [])),
    announce: given.announce === undefined ? null : announce.value,
    webrtcPort,
    udpPort,
    portMapping: given.portMapping !== false,
    tabs: given.tabs !== false,
    lan: given.lan === true,
    remembered: given.remembered !== false,
    capacity,
    relays: relays !== false,
    relayLimits: relayLimitsOf(relays) ?? {},
    rendezvous,
    pathlessMs,
    signal,
  })
}

/** `host:port`, an IPv6 address in brackets; port 0 lets the system choose. */
export function parseListenPoint(given: unknown): Result<ListenPoint> {
  const text = typeof given === 'string' ? given.trim() : ''
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:/[\]\s]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65535)
    return invalid(
      `"${String(given).slice(0, 80)}" is no place to listen: write host:port, like 0.0.0.0:4100 or [::]:0`,
    )
  return ok({ host: match[1] ?? match[2] ?? '', port })
}

function isWithin(value: unknown, min: number, max: number): boolean {
  return typeof value === 'number' && value >= min && value <= max
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}

/** Null where it is none. */
function relayLimitsOf(given: unknown): RelayLimits | null {
  if (given === undefined || typeof given === 'boolean') return {}
  if (typeof given !== 'object' || given === null) return null
  const limits = Object.entries(given)
  const known = limits.every(([name, value]) => RELAY_LIMITS.has(name) && (value === undefined || isCount(value)))
  // reason: looked at just above.
  return known ? (given as RelayLimits) : null
}

const RELAY_LIMITS: ReadonlySet<string> = new Set<keyof RelayLimits>(['bytesPerSecond', 'circuits'])

type WayIn = { readonly target: Target } | { readonly source: WayInSource }

/** An id alone tells nobody where to dial, and a peer without links has nobody to ask. */
function wayInOf(suite: CryptoSuite, now: WallTime, given: unknown): Result<WayIn> {
  const source = typeof given === 'string' ? parseSource(given) : null
  if (source !== null) return source.ok ? ok({ source: source.value }) : source
  const target = targetWayIn(suite, now, given)
  return target.ok ? ok({ target: target.value }) : target
}

export function targetWayIn(suite: CryptoSuite, now: WallTime, given: unknown): Result<Target> {
  const target = targetOf(suite, now, given)
  if (target.ok && target.value.kind !== 'peer') {
    const fault = targetFault(suite, target.value)
    return fault === null ? target : fail(fault)
  }
  if (!target.ok && target.fault.code !== 'invalid-peer-id') return target
  const what = typeof given === 'string' ? `"${given.slice(0, 80)}"` : 'what was given'
  const name = target.ok
    ? 'a peer id alone is no way in'
    : `${what} is neither a ref nor an address like tcp://host:4100`
  return fail({ code: 'invalid-ref', detail: name })
}

const ANY_HASH = 'A'.repeat(43)

/** `extra` stays empty where the certificate is this peer's own. */
function parseAnnounced(given: unknown): Result<Address> {
  if (typeof given !== 'string') return invalid('announce lists addresses as text')
  const bare = /^\s*(webrtc:\/\/[^/]+)\/?\s*$/.exec(given)?.[1]
  if (bare === undefined) return parseAddress(given)
  const parsed = parseAddress(`${bare}/${ANY_HASH}`)
  return parsed.ok ? ok({ ...parsed.value, extra: '' }) : parsed
}

function each<T>(
  name: string,
  given: readonly unknown[] | undefined,
  max: number,
  parse: (item: unknown) => Result<T>,
): Result<T[]> {
  if (given === undefined) return ok([])
  if (given.length > max) return fail({ code: 'invalid-option', detail: name, got: given.length, limit: max })
  const values: T[] = []
  for (const item of given) {
    const value = parse(item)
    if (!value.ok) return value
    values.push(value.value)
  }
  return ok(values)
}

function invalid(detail: string): { readonly ok: false; readonly fault: { code: 'invalid-option'; detail: string } } {
  return { ok: false, fault: { code: 'invalid-option', detail } }
}
