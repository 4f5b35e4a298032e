/**
 * Every kind of NAT to every kind: a megabyte by peer id alone, and what the path becomes. Prints a table; ends with 1 where a pair
 * did not exchange it, or one that plain ICE connects is not direct within its time.
 *
 * With `--tries N` the first kind reaches the second so many times, with new peers each time, and it ends with 1 where fewer than
 * nine of ten are direct within 8 s.
 *
 * With `--lan` two peers that were told of nobody find each other by mDNS, and a third, for which it is off, finds nobody.
 *
 *   npm run natlab [-- [--lan] [--from chromium] [--to chromium] [--tries N] KIND…]
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { MeshOptions } from '../../src/index.node.ts'
import type { Meeting, Met } from './meeting.ts'
import { NAT_KINDS, type NatKind, NatLab, noLab } from './nat-lab.ts'

const why = noLab()
if (why !== null) {
  console.log(`the NAT lab is skipped: ${why}`)
  process.exit(0)
}

const BYTES = 1_048_576
/** Sprayed ports take up to 7 s, from a second after the session stands. */
const PATIENCE_MS = 12_000
/** Of tries of one pair so many are to be direct, within this. */
const DIRECT_SHARE = 0.9
const DIRECT_WITHIN_MS = 8_000
type Program = 'node' | 'chromium'
const SCRIPTS: Readonly<Record<Program, string>> = {
  node: fileURLToPath(new URL('./natlab-peer.js', import.meta.url)),
  chromium: fileURLToPath(new URL('./natlab-page.js', import.meta.url)),
}
const { values, positionals: wanted } = parseArgs({
  options: {
    from: { type: 'string', default: 'node' },
    to: { type: 'string', default: 'node' },
    tries: { type: 'string' },
    lan: { type: 'boolean' },
  },
  allowPositionals: true,
})
const programs = [values.from, values.to].map((name): Program => (name === 'chromium' ? 'chromium' : 'node'))
type Kind = NatKind | 'public' | 'double' | 'ipv6-only' | 'dual-stack'

const ALL: readonly Kind[] = ['public', ...NAT_KINDS, 'double', 'ipv6-only', 'dual-stack']
const kinds = ALL.filter(kind => wanted.length === 0 || wanted.includes(kind))
let lab: NatLab | null = null
const peers: LabPeer[] = []
const ending = (): void => {
  for (const { child } of peers) child.kill('SIGKILL')
  lab?.close()
}
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    ending()
    process.exit(130)
  })

class LabPeer {
  id = ''
  ref = ''
  readonly child: ChildProcessByStdio<Writable, Readable, null>
  private readonly waiting: ((answer: unknown) => void)[] = []

  constructor(namespace: string, options: MeshOptions, program: Program = 'node') {
    this.child = spawn(
      'ip',
      ['netns', 'exec', namespace, process.execPath, SCRIPTS[program], JSON.stringify(options)],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
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
  ask<Answer>(call: Meeting): Promise<Answer & { readonly error?: string }> {
    const answer = this.answer<Answer>()
    this.child.stdin.write(`${JSON.stringify(call)}\n`)
    return answer
  }
  async start(): Promise<this> {
    const { id, ref, error } = await this.answer<{ readonly id: string; readonly ref: string }>()
    if (error !== undefined) throw new Error(`a peer of the lab did not start: ${error}`)
    Object.assign(this, { id, ref })
    return this
  }
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

/** Whether ICE connects these two without a relay (RFC 8445 with the NATs of RFC 4787). */
function isEasy(one: Kind, other: Kind): boolean {
  if (hasIpv6(one) && hasIpv6(other)) return true
  if ([one, other].includes('ipv6-only')) return [one, other].includes('public')
  const sides = [one, other].map(
    (kind): Kind => (kind === 'double' || kind === 'dual-stack' ? 'port-restricted' : kind),
  )
  // Nothing dials a page: where both are pages, or one cannot use UDP, an address of its own helps it nothing.
  if (sides.includes('public')) return !programs.includes('chromium') || !sides.some(isWithoutUdp)
  if (sides.some(isWithoutUdp)) return false
  if (!sides.includes('symmetric')) return true
  return sides.some(kind => kind === 'full-cone' || kind === 'address-restricted')
}

let failed = 0
try {
  lab = new NatLab()
  const segment = lab
  if (values.lan === true) {
    failed = await tryLan(segment)
    console.log(failed === 0 ? 'all as they should be' : `${failed} not as they should be`)
    ending()
    process.exit(failed)
  }
  const open: LabPeer[] = []
  for (let i = 0; i < 3; i += 1) {
    const { namespace } = segment.publicHost()
    // One where those who may only use the web can come in.
    const port = i === 2 ? 443 : 4_100
    const join = open.map(({ ref }) => ref)
    open.push(await new LabPeer(namespace, { listen: [`[::]:${port}`], join }).start())
  }
  const join = open.map(({ ref }) => ref)
  const placeOf = (kind: Kind, program: Program): Place => {
    if (kind === 'public') {
      const { namespace } = segment.publicHost()
      return { namespace, program, options: { listen: program === 'node' ? ['[::]:443'] : [], join } }
    }
    return { namespace: hostOf(segment, kind), program, options: { join } }
  }
  failed = values.tries === undefined ? await tryAll(placeOf) : await tryOften(Number(values.tries), placeOf)
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

/** Every kind to every kind; how many pairs are not as they should be. */
async function tryAll(placeOf: PlaceOf): Promise<number> {
  const [from, to] = [[], []] as [LabPeer[], LabPeer[]]
  for (const [i, side] of [from, to].entries())
    for (const kind of kinds) side.push(await startAt(placeOf(kind, programs[i]!)))
  await new Promise(resolve => setTimeout(resolve, 3_000))
  const cells = new Map<string, Met & { readonly error?: string }>()
  for (let shift = 0; shift < kinds.length; shift += 1) {
    const round = kinds.map(async (kind, i) => {
      const j = (i + shift) % kinds.length
      const asked = { peer: to[j]!.id, bytes: BYTES, patienceMs: PATIENCE_MS }
      cells.set(`${kind} ${kinds[j]}`, await from[i]!.ask<Met>(asked))
    })
    await Promise.all(round)
    process.stderr.write(`round ${shift + 1} of ${kinds.length}\n`)
  }
  let wrong = 0
  const wide = Math.max(...kinds.map(kind => kind.length)) + 1
  console.log(''.padEnd(wide), ...kinds.map(kind => kind.padEnd(wide)))
  for (const one of kinds) {
    const row = kinds.map(other => {
      const { error, same, path, directMs } = cells.get(`${one} ${other}`)!
      const ok = error === undefined && same && (directMs !== null || !isEasy(one, other))
      if (!ok) wrong += 1
      const shown = error ?? `${path}${directMs === null ? '' : ` ${directMs}`}`
      return `${ok ? '' : '!'}${shown}`.padEnd(wide)
    })
    console.log(one.padEnd(wide), ...row)
  }
  const all = [...cells.values()]
  const good = all.filter(({ same }) => same === true)
  const first = good.map(({ firstMs }) => firstMs ?? 0).sort((a, b) => a - b)
  console.log(
    `${good.length} of ${all.length} pairs exchanged ${BYTES} bytes; first byte back: median ${first[first.length >> 1]} ms, slowest ${first.at(-1)} ms`,
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
  const asked = { peer: first.id, bytes: 1_000, patienceMs: 1_000 }
  const [found, lost] = await Promise.all([second.ask<Met>(asked), silent.ask<Met>(asked)])
  console.log(`by mDNS: ${found.error ?? found.path}; where it is off: ${lost.error ?? lost.path}`)
  return (found.same === true ? 0 : 1) + (lost.error === undefined ? 1 : 0)
}

/** The first kind that was named to the second, with new peers each time; 1 where too few became direct, else 0. */
async function tryOften(tries: number, placeOf: PlaceOf): Promise<number> {
  const [one = 'symmetric', other = 'port-restricted'] = wanted as Kind[]
  const places = [placeOf(one, programs[0]!), placeOf(other, programs[1]!)] as const
  const direct: number[] = []
  let exchanged = 0
  for (let i = 1; i <= tries; i += 1) {
    const [from, to] = await Promise.all([startAt(places[0]), startAt(places[1])])
    const met = await from.ask<Met>({ peer: to.id, bytes: BYTES, patienceMs: DIRECT_WITHIN_MS })
    if (met.same) exchanged += 1
    if (met.directMs !== null && met.directMs <= DIRECT_WITHIN_MS) direct.push(met.directMs)
    for (const { child } of [from, to]) child.kill('SIGKILL')
    process.stderr.write(`try ${i} of ${tries}: ${met.error ?? met.path} ${met.directMs ?? ''}\n`)
  }
  direct.sort((a, b) => a - b)
  console.log(
    `${one} to ${other}: ${exchanged} of ${tries} exchanged ${BYTES} bytes, ${direct.length} direct within ${DIRECT_WITHIN_MS / 1_000} s, ` +
      `median ${direct[direct.length >> 1] ?? 'none'} ms, slowest ${direct.at(-1) ?? 'none'} ms`,
  )
  return exchanged === tries && direct.length >= DIRECT_SHARE * tries ? 0 : 1
}
