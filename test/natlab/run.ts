/**
 * Every kind of NAT to every kind: a megabyte by peer id alone, and what the path becomes. Prints a table; ends with 1 where a pair
 * did not exchange it, or one that plain ICE connects is not direct within its time. With `--one-by-one` no two pairs at once: ten
 * megabytes side by side, each over a relay at first, are more than this machine carries without delay.
 *
 * With `--tries N` the first kind reaches the second so many times, with new peers each time, and it ends with 1 where fewer than
 * nine of ten are direct within 8 s.
 *
 * With `--lan` two peers that were told of nobody find each other by mDNS, and a third, for which it is off, finds nobody.
 *
 * Where few links are wanted (`--capacity N`) most pairs have none before.
 *
 * With `--first-byte` each kind asks each hidden kind for one byte, in a mesh that has settled: the time in round trips of the
 * direct way. All wait for that, 3 s or `--settle S`. With `--silent S` each kind holds a stream to each of the others, is silent for so long, and speaks again.
 * With `--upheavals` each kind suffers another address, a cable that is out, a standstill of 20 s or `--still S`; streams that others
 * hold to it go on after it.
 * With `--way-in-dies` two tabs behind different NATs go on without the one Node peer through which they came, and a third joins.
 *
 * PROGRAM is `node` unless it is `chromium` or `firefox`; with `--webrtc` pages are told of `webrtc://` addresses alone.
 *
 * All of them with `--delay MS` on every link, one way, `--loss PERCENT` between any two, NATs that forget after
 * `--mapping-timeout S`, and `--publics N` peers that can be dialled.
 *
 *   npm run natlab [-- [--lan | --tries N | --first-byte | --silent S | --upheavals | --way-in-dies] [--from PROGRAM] [--to PROGRAM]
 *     [--one-by-one] [--webrtc] [--delay MS] [--loss PERCENT] [--mapping-timeout S] [--publics N] [--capacity N] [--settle S] [--still S] KIND…]
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { MeshOptions } from '../../src/index.node.ts'
import { measureFirstBytes } from './first-byte.ts'
import type { Met, State } from './lab-calls.ts'
import type { PageCall } from './lab-page.ts'
import { everyPair, printTable, quantile, type Sides } from './lab-run.ts'
import { type Conditions, NAT_KINDS, type NatKind, NatLab, noLab } from './nat-lab.ts'
import { speakAfterSilence } from './silence.ts'
import { surviveUpheavals } from './upheaval.ts'
import { liveWithoutWayIn } from './way-in-dies.ts'

const BYTES = 1_048_576
/** Sprayed ports take up to 7 s, from a second after the session stands. */
const PATIENCE_MS = 12_000
/** Where plain ICE connects a pair it is direct within this. */
const EASY_WITHIN_MS = 3_000
const USAGE = `npm run natlab [-- [--lan | --tries N | --first-byte | --silent S | --upheavals | --way-in-dies] [--from PROGRAM] [--to PROGRAM]
  [--one-by-one] [--webrtc] [--delay MS] [--loss PERCENT] [--mapping-timeout S] [--publics N] [--capacity N] [--settle S] [--still S] KIND…]

PROGRAM is node, chromium or firefox. The top of test/natlab/run.ts says what each option does.`
/** Until all have links; `--settle`. */
const SETTLE_S = '3'
/** Of tries of one pair so many are to be direct, within this. */
const DIRECT_SHARE = 0.9
const DIRECT_WITHIN_MS = 8_000
type Program = 'node' | 'chromium' | 'firefox'
const SCRIPTS: Readonly<Record<Program, string>> = {
  node: fileURLToPath(new URL('./natlab-peer.js', import.meta.url)),
  chromium: fileURLToPath(new URL('./natlab-page.js', import.meta.url)),
  firefox: fileURLToPath(new URL('./natlab-page.js', import.meta.url)),
}
const { values, positionals: wanted } = readOptions()
const numberOf = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text))
const conditions: Conditions = {
  delayMs: numberOf(values.delay),
  lossPercent: numberOf(values.loss),
  mappingTimeoutS: numberOf(values['mapping-timeout']),
}
const why = noLab(conditions)
if (why !== null) {
  console.log(`the NAT lab is skipped: ${why}`)
  process.exit(0)
}
const programs = [values.from, values.to].map(programNamed)
const anyPage = programs.some(program => program !== 'node')
type Kind = NatKind | 'public' | 'double' | 'ipv6-only' | 'dual-stack'

const ALL: readonly Kind[] = ['public', ...NAT_KINDS, 'double', 'ipv6-only', 'dual-stack']
const strange = wanted.filter(name => !ALL.some(kind => kind === name))
if (strange.length > 0) refuse(`there is no kind ${strange.join(', ')}: they are ${ALL.join(', ')}`)
const kinds = ALL.filter(kind => wanted.length === 0 || wanted.includes(kind))
let lab: NatLab | null = null
const peers: LabPeer[] = []
/** Of all peers: those that are killed leave it as it is. */
const folder = mkdtempSync(join(tmpdir(), 'webmesh-lab-'))
const ending = (): void => {
  for (const { child } of peers) child.kill('SIGKILL')
  lab?.close()
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  } catch {
    // A browser writes to the last: a folder stays, and what the lab found counts.
  }
}
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    ending()
    process.exit(130)
  })

class LabPeer {
  id = ''
  ref = ''
  /** By text. */
  addresses: readonly string[] = []
  readonly namespace: string
  readonly child: ChildProcessByStdio<Writable, Readable, null>
  private readonly waiting: ((answer: unknown) => void)[] = []

  constructor(namespace: string, options: MeshOptions, program: Program = 'node') {
    this.namespace = namespace
    this.child = spawn(
      'ip',
      ['netns', 'exec', namespace, process.execPath, SCRIPTS[program], JSON.stringify(options), program],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
        env: { ...process.env, TMPDIR: folder },
      },
    )
    createInterface({ input: this.child.stdout }).on('line', line => this.waiting.shift()?.(JSON.parse(line)))
    this.child.on('exit', () => {
      for (const resolve of this.waiting.splice(0)) resolve({ error: 'the process ended' })
    })
    peers.push(this)
  }
  private answer<Answer>(): Promise<Answer & { readonly error?: string }> {
    // reason: both ends are of this lab.
    return new Promise<unknown>(resolve => this.waiting.push(resolve)) as Promise<Answer & { readonly error?: string }>
  }
  ask<Answer>(call: PageCall): Promise<Answer & { readonly error?: string }> {
    const answer = this.answer<Answer>()
    this.child.stdin.write(`${JSON.stringify(call)}\n`)
    return answer
  }
  async start(): Promise<this> {
    const { error, ...told } = await this.answer<Pick<LabPeer, 'id' | 'ref' | 'addresses'>>()
    if (error !== undefined) throw new Error(`a peer of the lab did not start: ${error}`)
    Object.assign(this, told)
    return this
  }
}

function programNamed(name: string): Program {
  if (name === 'node' || name === 'chromium' || name === 'firefox') return name
  return refuse(`there is no program ${name}`)
}

function hasIpv6(kind: Kind): boolean {
  return kind === 'ipv6-only' || kind === 'dual-stack'
}

function hostOf(segment: NatLab, kind: Exclude<Kind, 'public'>): string {
  switch (kind) {
    case 'double':
      return segment.hostBehind('port-restricted', 'port-restricted').namespace
    case 'ipv6-only':
      return segment.hostWithIpv6().namespace
    case 'dual-stack':
      return segment.hostWithIpv6('port-restricted').namespace
    default:
      return segment.hostBehind(kind).namespace
  }
}

function isWithoutUdp(kind: Kind): boolean {
  return kind === 'udp-blocked' || kind === 'only-443'
}

/** Whether nothing connects these two without a relay. */
function isHopeless(one: Kind, other: Kind): boolean {
  if (isEasy(one, other)) return false
  if ([one, other].includes('ipv6-only') || [one, other].some(isWithoutUdp)) return true
  return anyPage || (one === 'symmetric' && other === 'symmetric')
}

/** Whether ICE connects these two without a relay (RFC 8445 with the NATs of RFC 4787). */
function isEasy(one: Kind, other: Kind): boolean {
  if (hasIpv6(one) && hasIpv6(other)) return true
  if ([one, other].includes('ipv6-only')) return [one, other].includes('public')
  const sides = [one, other].map(
    (kind): Kind => (kind === 'double' || kind === 'dual-stack' ? 'port-restricted' : kind),
  )
  // Nothing dials a page: where both are pages, or one cannot use UDP, an address of its own helps it nothing.
  if (sides.includes('public')) return !anyPage || !sides.some(isWithoutUdp)
  if (sides.some(isWithoutUdp)) return false
  if (!sides.includes('symmetric')) return true
  return sides.some(kind => kind === 'full-cone' || kind === 'address-restricted')
}

let failed = 0
try {
  lab = new NatLab(conditions)
  const segment = lab
  if (values.lan === true) {
    failed = await tryLan(segment)
    console.log(failed === 0 ? 'all as they should be' : `${failed} not as they should be`)
    ending()
    process.exit(failed)
  }
  if (values['way-in-dies'] === true) {
    const { namespace } = segment.publicHost()
    const wayIn = await new LabPeer(namespace, { listen: ['[::]:4100'] }).start()
    const tabBehind = (kind: Exclude<Kind, 'public'>): Promise<LabPeer> =>
      startAt({ namespace: hostOf(segment, kind), program: 'chromium', options: { join: [wayIn.ref] } })
    const [first, second] = await Promise.all([tabBehind('port-restricted'), tabBehind('double')])
    failed = await liveWithoutWayIn({ wayIn, kill: () => wayIn.child.kill('SIGKILL'), first, second })
    console.log(failed === 0 ? 'all as they should be' : `${failed} not as they should be`)
    ending()
    process.exit(failed === 0 ? 0 : 1)
  }
  const open: LabPeer[] = []
  for (let i = 0; i < Number(values.publics); i += 1) {
    const { namespace } = segment.publicHost()
    // One where those who may only use the web can come in.
    const port = i % 3 === 2 ? 443 : 4_100
    const join = open.map(({ ref }) => ref)
    open.push(await new LabPeer(namespace, { listen: [`[::]:${port}`], join }).start())
  }
  const join = open.map(({ ref }) => ref)
  const byWebRtc = open.flatMap(({ addresses }) => addresses.filter(address => address.startsWith('webrtc:')))
  const joinOf = (program: Program): readonly string[] => (values.webrtc && program !== 'node' ? byWebRtc : join)
  const capacity = numberOf(values.capacity)
  const placeOf = (kind: Kind, program: Program): Place => {
    if (kind === 'public') {
      const { namespace } = segment.publicHost()
      return {
        namespace,
        program,
        options: { listen: program === 'node' ? ['[::]:443'] : [], join: joinOf(program), capacity },
      }
    }
    return { namespace: hostOf(segment, kind), program, options: { join: joinOf(program), capacity } }
  }
  failed = await measure(segment, placeOf, open)
  console.log(failed === 0 ? 'all as they should be' : `${failed} not as they should be`)
} finally {
  ending()
}
process.exit(failed === 0 ? 0 : 1)

interface Place {
  readonly namespace: string
  readonly program: Program
  readonly options: MeshOptions
}
type PlaceOf = (kind: Kind, program: Program) => Place

function startAt({ namespace, options, program }: Place): Promise<LabPeer> {
  return new LabPeer(namespace, options, program).start()
}

async function measure(lab: NatLab, placeOf: PlaceOf, publics: readonly LabPeer[]): Promise<number> {
  if (values.tries !== undefined) return tryOften(Number(values.tries), placeOf)
  const sides = await bothSides(placeOf, publics)
  if (values['first-byte'] === true) return measureFirstBytes(sides)
  if (values.silent !== undefined) return speakAfterSilence(sides, Number(values.silent))
  if (values.upheavals === true) return surviveUpheavals({ ...sides, lab, stillS: Number(values.still) })
  return tryAll(sides)
}

/** New peers of every kind, those who ask and those who are asked, once they have the links that they want. */
async function bothSides(placeOf: PlaceOf, publics: readonly LabPeer[]) {
  const [from, to] = [[], []] as [LabPeer[], LabPeer[]]
  for (const [i, side] of [from, to].entries())
    for (const kind of kinds) side.push(await startAt(placeOf(kind, programs[i]!)))
  await new Promise(resolve => setTimeout(resolve, Number(values.settle) * 1_000))
  return { kinds, from, to, publics }
}

/** Every kind to every kind; how many pairs are not as they should be. */
async function tryAll({ from, to }: Sides): Promise<number> {
  const cells = await everyPair(kinds.length, values['one-by-one'] !== true, (i, j) => {
    const patienceMs = isHopeless(kinds[i]!, kinds[j]!) ? 0 : PATIENCE_MS
    return from[i]!.ask<Met>({ kind: 'meet', peer: to[j]!.id, bytes: BYTES, patienceMs })
  })
  let wrong = 0
  const shown = cells.map((row, i) =>
    row.map(({ error, same, path, directMs, wasLinked }, j) => {
      const isDirect = directMs !== null && (wasLinked || directMs <= EASY_WITHIN_MS)
      const ok = error === undefined && same && (isDirect || !isEasy(kinds[i]!, kinds[j]!))
      if (!ok) wrong += 1
      return `${ok ? '' : '!'}${error ?? `${path}${directMs === null ? '' : ` ${directMs}`}${wasLinked ? '=' : ''}`}`
    }),
  )
  printTable(kinds, shown)
  for (const [j, peer] of to.entries()) {
    if (cells.every(row => row[j]!.error === undefined)) continue
    // Whether those who could not reach it are to blame, or it.
    const { links, estimatedPeers, error } = await peer.ask<State>({ kind: 'state' })
    console.log(
      `${kinds[j]}, ${peer.id.slice(0, 6)}: ${error ?? `sees ${estimatedPeers} peers, linked with ${links.join(', ')}`}`,
    )
  }
  const all = cells.flat()
  const good = all.filter(({ same }) => same === true)
  const first = good.map(({ firstMs }) => firstMs ?? 0)
  const direct = good.filter(({ wasLinked }) => !wasLinked).flatMap(({ directMs }) => directMs ?? [])
  console.log(
    `${good.length} of ${all.length} pairs exchanged ${BYTES} bytes, ${good.filter(({ wasLinked }) => wasLinked).length} of them with a link before (=); ` +
      `first byte back: median ${quantile(first, 0.5)} ms, slowest ${Math.max(...first)} ms; of the others ${direct.length} became direct, the slowest after ${Math.max(...direct)} ms`,
  )
  return wrong
}

/** Peers of one network that were told of nobody. */
async function tryLan(segment: NatLab): Promise<number> {
  const listen = ['0.0.0.0:4100']
  const options: readonly MeshOptions[] = [{ listen, lan: true }, { lan: true }, {}]
  const [first, second, silent] = (await Promise.all(
    options.map(given => startAt({ namespace: segment.publicHost().namespace, program: 'node', options: given })),
  )) as [LabPeer, LabPeer, LabPeer]
  await new Promise(resolve => setTimeout(resolve, 3_000))
  const asked = { kind: 'meet', peer: first.id, bytes: 1_000, patienceMs: 1_000 } as const
  const [found, lost] = await Promise.all([second.ask<Met>(asked), silent.ask<Met>(asked)])
  console.log(`by mDNS: ${found.error ?? found.path}; where it is off: ${lost.error ?? lost.path}`)
  return (found.same === true ? 0 : 1) + (lost.error === undefined ? 1 : 0)
}

/** The first kind that was named to the second, with new peers each time; 1 where too few became direct, else 0. */
async function tryOften(tries: number, placeOf: PlaceOf): Promise<number> {
  const [one = 'symmetric', other = 'port-restricted'] = wanted as Kind[]
  const places = [placeOf(one, programs[0]!), placeOf(other, programs[1]!)] as const
  const direct: number[] = []
  const first: number[] = []
  let exchanged = 0
  for (let i = 1; i <= tries; i += 1) {
    const [from, to] = await Promise.all([startAt(places[0]), startAt(places[1])])
    const met = await from.ask<Met>({ kind: 'meet', peer: to.id, bytes: BYTES, patienceMs: DIRECT_WITHIN_MS })
    if (met.same) exchanged += 1
    if (met.firstMs) first.push(met.firstMs)
    if (met.directMs !== null && met.directMs <= DIRECT_WITHIN_MS) direct.push(met.directMs)
    for (const { child } of [from, to]) child.kill('SIGKILL')
    process.stderr.write(`try ${i} of ${tries}: ${met.error ?? met.path} ${met.directMs ?? ''}\n`)
  }
  console.log(
    `${one} to ${other}: ${exchanged} of ${tries} exchanged ${BYTES} bytes, ${direct.length} direct within ${DIRECT_WITHIN_MS / 1_000} s, ` +
      `median ${quantile(direct, 0.5)} ms, slowest ${Math.max(...direct)} ms; first byte back: median ${quantile(first, 0.5)} ms, slowest ${Math.max(...first)} ms`,
  )
  return exchanged === tries && direct.length >= DIRECT_SHARE * tries ? 0 : 1
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        from: { type: 'string', default: 'node' },
        to: { type: 'string', default: 'node' },
        tries: { type: 'string' },
        lan: { type: 'boolean' },
        'first-byte': { type: 'boolean' },
        silent: { type: 'string' },
        'one-by-one': { type: 'boolean' },
        upheavals: { type: 'boolean' },
        still: { type: 'string', default: '20' },
        'way-in-dies': { type: 'boolean' },
        delay: { type: 'string' },
        loss: { type: 'string' },
        'mapping-timeout': { type: 'string' },
        webrtc: { type: 'boolean' },
        publics: { type: 'string', default: '3' },
        capacity: { type: 'string' },
        settle: { type: 'string', default: SETTLE_S },
      },
      allowPositionals: true,
    })
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error))
  }
}

function refuse(why: string): never {
  console.error(`${why}\n\n${USAGE}`)
  process.exit(2)
}
