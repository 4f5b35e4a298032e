/** `webmesh doctor`: whether this machine can take part in the network, how well, and what would make it better. */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { dirname, resolve } from 'node:path'
import { nodePlatform } from '../host/platform.node.ts'
import { type LinkView, Mesh, WebmeshError } from '../index.node.ts'
import { CAPACITY_MIN, parseListenPoint } from '../mesh/mesh-options.ts'
import {
  type CliCall,
  type CliCommand,
  FailureTold,
  JOIN_OPTION,
  JSON_OPTION,
  STORE_OPTION,
  TYPED_WRONG,
  UsageError,
} from './command.ts'
import {
  addressFinding,
  clockFinding,
  dialInFinding,
  type Finding,
  linksFinding,
  listenFinding,
  mappingFinding,
  natFinding,
  nodeFinding,
  type StoreState,
  storeFinding,
  udpFinding,
  type Verdict,
  type WayTried,
  waysFinding,
} from './diagnosis.ts'
import { type Colour, excerpt, harmless, type Report } from './report.ts'
import { pause } from './waiting.ts'

/** One way in has led somewhere by then, or does not. */
const WAY_TIMEOUT_MS = 10_000
/** Remembered peers have let this one in by then, or none will. */
const FIRST_LINK_MS = 6_000
/** After the first link a public peer is known and has answered, or there is none. */
const FIRST_ANSWER_MS = 2_000
/** More of them have answered. */
const SURVEY_MS = 3_000
/** A gateway that says nothing in three protocols is done with by then. */
const MAPPING_MS = 9_000
/** Several peers have dialled this machine by then, or given up. */
const DIAL_IN_MS = 8_000
const LOOK_MS = 50
const CLOCK_PEERS = 3
/** Of those that dialled this peer nobody listens at the other end. */
const CLOCK_TIMEOUT_MS = 1_000

export const doctor: CliCommand = {
  name: 'doctor',
  summary: 'check whether this machine can take part, how well, and what would help',
  usage: '[--join REF]... [--listen HOST:PORT] [--store DIR]',
  operands: [],
  options: {
    ...JSON_OPTION,
    ...STORE_OPTION,
    ...JOIN_OPTION,
    listen: { type: 'string' },
    'no-port-mapping': { type: 'boolean' },
  },
  help: `Runs a peer for a few seconds and prints what it finds, one thing a line: Node's version,
the store, whether it can listen, the ways in, links, whether UDP is usable, the public
addresses as other peers see them, the kind of NAT and what it means, whether the gateway
maps ports, whether others can dial this machine, the clock. Under what could be better
stands what to do about it.

  --join REF           a way into the mesh; each one given is tried on its own
  --listen HOST:PORT   the place to listen that is checked; any free port unless given
  --store DIR          check this store, and use its identity and memory
  --no-port-mapping    ask the gateway for nothing
  --json               {"event":"check","check":"udp","verdict":"fine",…} each (verdicts: fine,
                       told, poor, bad), then {"event":"done","ok":true,"reason":null}

It leaves nothing behind: a port that the gateway mapped is given back.
Ends with 0 if this machine can talk to the network, with 1 and the reason if not.`,

  async run({ flags, report, signal }: CliCall): Promise<void> {
    const place = flags.text('store')
    if (place === '') throw new UsageError('--store takes a folder')
    const listen = flags.text('listen')
    const point = listen === undefined ? null : parseListenPoint(listen)
    if (point !== null && !point.ok) throw new WebmeshError(point.fault)
    const ways = await Promise.all(flags.list('join').map(way => tryWay(way, signal)))

    say(report, nodeFinding(process.versions.node), { version: process.versions.node })
    const store = place === undefined ? ({ kind: 'not-given' } as const) : await storeState(resolve(place))
    say(report, storeFinding(store), { place: place === undefined ? null : resolve(place) })

    const join = ways.filter(({ fault }) => fault === null).map(({ way }) => way)
    const started = await start({
      store: store.kind === 'fine' ? store.place : undefined,
      join,
      // Any free port, by both families where there are both.
      listen: listen === undefined ? ['[::]:0', '0.0.0.0:0'] : [listen, freePortOf(listen)],
      isWish: listen !== undefined,
      portMapping: !flags.has('no-port-mapping'),
      signal,
    })
    const { mesh } = started
    try {
      say(report, listenFinding(mesh.listening, started.fault), { listening: mesh.listening })
      // The store tells how many it remembers a moment after the start.
      await until(
        () => mesh.status().links.length > 0,
        join.length > 0 || store.kind === 'fine' ? FIRST_LINK_MS : 0,
        signal,
      )
      const isIn = mesh.status().links.length > 0
      const remembered = store.kind === 'fine' ? mesh.status().rememberedPeers : null
      say(report, waysFinding(ways, join.length > 0 ? null : remembered, isIn), { ways })
      for (const { way, fault, ms } of ways) {
        const outcome = fault === null ? `worked, after ${ms} ms: ${excerpt(way)}` : `failed: ${excerpt(way)}: ${fault}`
        report.event('way', { way, ok: fault === null, ms, fault }, `${' '.repeat(20)}${harmless(outcome)}`)
      }
      if (isIn) {
        await until(() => mesh.status().nat.askedPeers > 0, FIRST_ANSWER_MS, signal)
        if (mesh.status().nat.askedPeers > 0) await until(() => mesh.status().nat.answeredPeers > 2, SURVEY_MS, signal)
      }
      await until(() => isSettled(mesh), MAPPING_MS, signal)
      // Somebody has to be there who can try.
      const mayBeTried = mesh.status().nat.askedPeers > 1 ? DIAL_IN_MS : 0
      await until(() => mesh.status().dialIn.every(({ state }) => state !== 'unknown'), mayBeTried, signal)
      if (signal.aborted) throw new WebmeshError({ code: 'aborted', detail: 'interrupted' })
      const { links, estimatedPeers, nat, portMapping, dialIn } = mesh.status()
      say(report, linksFinding(links, estimatedPeers), { links, estimatedPeers })
      say(report, udpFinding(nat), { asked: nat.askedPeers, answered: nat.answeredPeers })
      say(report, addressFinding(nat, ownHosts()), { ipv4: nat.ipv4, ipv6: nat.ipv6 })
      say(report, natFinding(nat), { kind: nat.kind })
      say(report, mappingFinding(portMapping), { mapping: portMapping })
      say(report, dialInFinding(dialIn, mesh.listening), { hosts: dialIn })
      const skews = await clockSkews(links)
      const skewMs = median(skews)
      say(report, clockFinding(skewMs, skews.length), { skewMs, peers: skews.length })
      const reason = links.length > 0 ? null : reasonOf(ways, remembered)
      const text =
        reason === null
          ? `\n${report.paint('green', 'This machine can talk to the network.')}`
          : `\n${report.paint('red', 'This machine cannot talk to the network:')} ${harmless(reason)}`
      report.event('done', { ok: reason === null, reason }, text)
      if (reason !== null) throw new FailureTold(reason)
    } finally {
      await mesh.close()
    }
  },
}

const MARKS: Readonly<Record<Verdict, readonly [string, Colour]>> = {
  fine: ['ok', 'green'],
  told: ['--', 'dim'],
  poor: ['poor', 'yellow'],
  bad: ['BAD', 'red'],
}

function say(
  report: Report,
  { check, verdict, text, advice }: Finding,
  facts: Readonly<Record<string, unknown>>,
): void {
  const [mark, colour] = MARKS[verdict]
  const line = `${report.paint(colour, mark.padEnd(4))}  ${check.padEnd(13)} ${harmless(text)}`
  const below = advice === '' ? '' : `\n${' '.repeat(20)}${report.paint('bold', '→')} ${advice}`
  report.event('check', { check, verdict, text, advice: advice === '' ? null : advice, ...facts }, `${line}${below}`)
}

/** By a peer of its own, which only dials: the others cannot help it in. */
async function tryWay(way: string, signal: AbortSignal): Promise<WayTried> {
  const startedAt = performance.now()
  const limit = AbortSignal.any([signal, AbortSignal.timeout(WAY_TIMEOUT_MS)])
  const fault = await Mesh.start({ join: [way], capacity: CAPACITY_MIN, relays: false, signal: limit }).then(
    mesh => mesh.close().then(() => null),
    (error: unknown) => {
      if (!(error instanceof WebmeshError) || TYPED_WRONG.has(error.code) || signal.aborted) throw error
      if (error.code === 'aborted') return `no answer within ${WAY_TIMEOUT_MS / 1_000} s`
      // The way itself, and what to do about it, stand beside.
      return error.code === 'no-way-in' ? reasonIn(error.message, way) : error.message
    },
  )
  return { way, fault, ms: Math.round(performance.now() - startedAt) }
}

function reasonIn(sentence: string, way: string): string {
  const told = /\((.*)\)/.exec(sentence)?.[1] ?? sentence
  return told.startsWith(`${way}: `) ? told.slice(way.length + 2) : told
}

interface Wanted {
  readonly store: string | undefined
  readonly join: readonly string[]
  /** First choice first. */
  readonly listen: readonly string[]
  /** The user named the first of them. */
  readonly isWish: boolean
  readonly portMapping: boolean
  readonly signal: AbortSignal
}

/** At the place that is wanted, or else where it can: what follows is of use either way. */
async function start({
  listen,
  isWish,
  ...options
}: Wanted): Promise<{ readonly mesh: Mesh; readonly fault: string | null }> {
  let fault: string | null = null
  for (const place of listen) {
    try {
      return { mesh: await Mesh.start({ ...options, listen: [place] }), fault }
    } catch (error) {
      if (!(error instanceof WebmeshError) || !['port-in-use', 'listen-failed'].includes(error.code)) throw error
      if (isWish) fault ??= error.message
    }
  }
  return { mesh: await Mesh.start(options), fault: fault ?? 'this machine cannot listen at all.' }
}

function freePortOf(place: string): string {
  return place.replace(/:\d+$/, ':0')
}

async function storeState(place: string): Promise<StoreState> {
  const isThere = await stat(place).then(
    () => true,
    () => false,
  )
  if (!isThere) return { kind: 'missing', place, canBeMade: await canBeMade(place) }
  const opened = await nodePlatform().openStore(place)
  if (!opened.ok) {
    const { code } = opened.fault
    return { kind: 'fault', place, locked: code === 'store-locked', message: new WebmeshError(opened.fault).message }
  }
  const { store, fault } = opened.value
  const failed = fault ?? (await store.save([{ key: 'probe/doctor', value: null }]))
  await store.close()
  if (failed !== null) return { kind: 'fault', place, locked: false, message: new WebmeshError(failed).message }
  return { kind: 'fine', place }
}

/** By the folder next above it that there is. */
async function canBeMade(place: string): Promise<boolean> {
  const above = dirname(place)
  try {
    await access(above, constants.W_OK | constants.X_OK)
    return true
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return isMissing && above !== place && canBeMade(above)
  }
}

function isSettled(mesh: Mesh): boolean {
  const { portMapping, nat } = mesh.status()
  if (portMapping.kind === 'searching') return false
  // Whoever is to confirm it is asked when there is somebody.
  return portMapping.kind !== 'mapped' || portMapping.trust !== 'unconfirmed' || nat.askedPeers === 0
}

/** How far this clock is ahead of those of peers that are dialled here; their ports tell the time to the second. */
async function clockSkews(links: readonly LinkView[]): Promise<number[]> {
  const asked = links
    .flatMap(({ path }) => (path.kind === 'wire' && ['tcp', 'websocket'].includes(path.transport) ? [path.remote] : []))
    .slice(0, CLOCK_PEERS)
  const told = await Promise.all(asked.map(remote => clockSkew(remote).catch(() => null)))
  return told.filter(skew => skew !== null)
}

async function clockSkew(remote: string): Promise<number | null> {
  const before = Date.now()
  const response = await fetch(`http://${remote}/health`, {
    method: 'HEAD',
    redirect: 'error',
    signal: AbortSignal.timeout(CLOCK_TIMEOUT_MS),
  })
  const now = (before + Date.now()) / 2
  const date = Date.parse(response.headers.get('date') ?? '')
  // It is cut to the second: half of one is right on average.
  return Number.isNaN(date) ? null : Math.round(now - date - 500)
}

function median(values: readonly number[]): number | null {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? null
}

function reasonOf(ways: readonly WayTried[], remembered: number | null): string {
  if (ways.length > 0 && ways.every(({ fault }) => fault !== null)) return 'none of the ways in worked'
  if (ways.length > 0) return 'no link lasted'
  if (remembered) return 'none of the remembered peers answered'
  return 'no way in was given: --join REF, the ref of any peer that runs'
}

function ownHosts(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap(addresses => (addresses ?? []).map(({ address }) => address))
}

async function until(isSo: () => boolean, patienceMs: number, signal: AbortSignal): Promise<void> {
  const startedAt = performance.now()
  while (!isSo() && performance.now() - startedAt < patienceMs) if (!(await pause(LOOK_MS, signal))) return
}
