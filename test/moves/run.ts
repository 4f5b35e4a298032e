/**
 * A transfer whose path is cut, moves or sleeps, between real peers in network namespaces: whether every byte came, and how
 * long none did. Ends with 1 where one case is not as it should be. Root only.
 *
 *   npm run bench:moves [-- [--megabytes 100] [--seconds 60] [--gap 1000] CASE…]
 *
 *   tcp-closed tcp-silent udp webrtc chromium   the direct wire is cut every second, for half of it
 *   outage-tcp outage-udp outage-webrtc         one peer has no network at all for 8 s
 *   freeze-tcp freeze-udp freeze-webrtc         the receiver is stopped for so many seconds
 *   address-tcp address-dialler address-udp address-webrtc
 *                                               one peer gets another device and address, the old one goes
 *   udp-blocked udp-dies                        what would be better cannot be, or opens and carries nothing
 *   no-path                                     the network goes for longer than streams are to wait
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { NatLab, noLab, type PublicHost } from '../natlab/nat-lab.ts'
import type { Arrival } from './transfer.ts'

const why = noLab()
if (why !== null) {
  console.log(`the moves are skipped: ${why}`)
  process.exit(0)
}

const { values, positionals } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '60' },
    gap: { type: 'string', default: '1000' },
    log: { type: 'boolean' },
  },
  allowPositionals: true,
})
const BYTES = Number(values.megabytes) * 1_000_000
const FREEZE_MS = Number(values.seconds) * 1_000
/** Each machine's line: a transfer takes long enough to be cut many times. */
const RATE = '48mbit'
const CUT_EVERY_MS = 1_000
const CUT_MS = 500
const OUTAGE_MS = 8_000
/** Bytes flow for so long before something is done. */
const BEFORE_MS = 1_000
/** More than what a writer may write ahead of its reader. */
const ENDLESS_BYTES = 100_000_000
const GAP_MAX_MS = Number(values.gap)
const PATIENCE_MS = 300_000
const PATHLESS_MS = 3_000

type Transport = 'tcp' | 'udp' | 'webrtc'
type Program = 'node' | 'chromium'
type Event = { readonly event: string } & Record<string, unknown>

const SCRIPTS: Readonly<Record<Program, string>> = {
  node: fileURLToPath(new URL('./move-peer.js', import.meta.url)),
  chromium: fileURLToPath(new URL('./move-page.js', import.meta.url)),
}
const children = new Set<ChildProcessByStdio<Writable, Readable, null>>()
let lab = new NatLab()
const ending = (): void => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
  lab.close()
}
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    ending()
    process.exit(130)
  })

class MovePeer {
  readonly child: ChildProcessByStdio<Writable, Readable, null>
  readonly host: PublicHost
  readonly events: Event[] = []
  private readonly name: string
  private waiting: (() => void)[] = []

  constructor(name: string, host: PublicHost, options: object, program: Program = 'node') {
    this.name = name
    this.host = host
    this.child = spawn(
      'ip',
      ['netns', 'exec', host.namespace, process.execPath, SCRIPTS[program], JSON.stringify(options)],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    )
    children.add(this.child)
    createInterface({ input: this.child.stdout }).on('line', line => this.tell(JSON.parse(line)))
    this.child.on('exit', () => this.tell({ event: 'exit' }))
  }

  order(order: object): void {
    this.child.stdin.write(`${JSON.stringify(order)}\n`)
  }

  /** The first event of a kind from a place in the list on. */
  async event(kind: string, from = 0): Promise<Event> {
    const by = performance.now() + PATIENCE_MS
    for (;;) {
      const found = this.events.slice(from).find(({ event }) => event === kind)
      if (found !== undefined) return found
      const left = by - performance.now()
      if (left <= 0 || this.events.at(-1)?.event === 'exit') throw new Error(`${this.name}: no ${kind} came`)
      await Promise.race([new Promise<void>(resolve => this.waiting.push(resolve)), pause(left, null, { ref: false })])
    }
  }

  /** How many bytes of the transfer are here. */
  async taken(): Promise<number> {
    const from = this.events.length
    this.order({ ask: 'taken' })
    return Number((await this.event('taken', from)).bytes)
  }

  private tell(event: Event): void {
    if (values.log === true && event.event !== 'taken')
      console.log(Math.round(performance.now()), this.name, JSON.stringify(event))
    this.events.push(event)
    for (const wake of this.waiting.splice(0)) wake()
  }
}

interface Setting {
  readonly over: Transport
  readonly sender?: Program
  readonly pathlessMs?: number
  /** What to wait for before bytes are sent, if not the transport. */
  readonly startsOver?: string
  readonly bytes?: number
}

interface Place {
  readonly from: MovePeer
  readonly to: MovePeer
  readonly relay: MovePeer
}

async function build({ over, sender = 'node', pathlessMs }: Setting): Promise<Place> {
  const relayAt = lab.publicHost()
  const relay = new MovePeer('relay', relayAt, { listen: ['0.0.0.0:4100'] })
  const { ref } = await relay.event('ready')
  const [fromAt, toAt] = [lab.publicHost(), lab.publicHost()]
  for (const { namespace } of [fromAt, toAt])
    lab.run(namespace, [
      'tc',
      'qdisc',
      'add',
      'dev',
      'eth',
      'root',
      'tbf',
      'rate',
      RATE,
      'burst',
      '64kb',
      'latency',
      '40ms',
    ])
  const options = { join: [ref], pathlessMs, transports: over === 'tcp' ? [] : [over] }
  const to = new MovePeer('receiver', toAt, { ...options, listen: over === 'tcp' ? ['0.0.0.0:4100'] : [] })
  await to.event('ready')
  const from = new MovePeer('sender', fromAt, options, sender)
  await from.event('ready')
  return { from, to, relay }
}

/** What comes from there is dropped, or let in again. */
function drop({ namespace }: PublicHost, rule: string): void {
  lab.run(
    namespace,
    ['nft', '-f', '-'],
    `table inet moves {\nchain in {\ntype filter hook input priority -5\n${rule}\n}\n}\n`,
  )
}
function letIn({ namespace }: PublicHost): void {
  lab.run(namespace, ['nft', 'delete', 'table', 'inet', 'moves'])
}
function cut({ from, to }: Place): void {
  for (const [one, other] of [
    [from, to],
    [to, from],
  ] as const)
    drop(one.host, `ip saddr ${other.host.address} drop\nip6 saddr ${other.host.address6} drop`)
}
function mend({ from, to }: Place): void {
  letIn(from.host)
  letIn(to.host)
}

interface Outcome {
  readonly name: string
  readonly arrival: Arrival
  readonly sent: Event
  readonly secondsTaken: number
  readonly paths: readonly string[]
  readonly closed: boolean
}

/** One transfer, during which something is done to the network. */
async function transfer(
  name: string,
  setting: Setting,
  during: (place: Place, isOver: () => boolean) => Promise<void>,
): Promise<Outcome> {
  const place = await build(setting)
  const { from, to } = place
  const { id } = await to.event('ready')
  from.order({ to: id, bytes: setting.bytes ?? BYTES, over: setting.startsOver ?? setting.over })
  await from.event('begins')
  const startedAt = performance.now()
  let over = false
  const disturbing = during(place, () => over).then(
    () => null,
    (error: unknown) => error,
  )
  const arrival = (await to.event('arrived')) as unknown as Arrival
  const sent = await from.event('sent')
  const secondsTaken = (performance.now() - startedAt) / 1_000
  over = true
  const disturbed = await disturbing
  if (disturbed !== null) throw disturbed
  const paths = from.events.filter(({ event }) => event === 'path').map(({ path, atMs }) => `${path}@${atMs}`)
  const closed = from.events.some(({ event }) => event === 'closed')
  return { name, arrival, sent, secondsTaken, paths, closed }
}

let failed = 0

function judge(
  { name, arrival, sent, secondsTaken, paths, closed }: Outcome,
  gapMs: number,
  gapMax: number,
  more = '',
): void {
  const same = arrival.hash === sent.hash && arrival.bytes === BYTES
  const good = same && !closed && gapMs <= gapMax
  if (!good) failed += 1
  console.log(
    `${good ? '' : '! '}${name}: ${arrival.bytes / 1e6} MB in ${secondsTaken.toFixed(1)} s, hash ${same ? 'equal' : 'DIFFERENT'}, ` +
      `session ${closed ? 'CLOSED' : 'open'}, longest wait for bytes ${gapMs} ms (at most ${gapMax})${more}`,
  )
  console.log(
    `    paths: ${paths.join(' ') || 'the first'}; waits above 300 ms: ${arrival.gaps.map(({ gapMs: gap, atMs }) => `${gap}@${atMs}`).join(' ') || 'none'}`,
  )
}

async function cutEverySecond(name: string, setting: Setting, closes: boolean): Promise<void> {
  let cuts = 0
  const outcome = await transfer(name, setting, async (place, isOver) => {
    await pause(CUT_EVERY_MS)
    while (!isOver()) {
      cuts += 1
      if (closes) {
        const { from, to } = place
        for (const [one, other] of [
          [from, to],
          [to, from],
        ] as const)
          lab.run(one.host.namespace, ['sh', '-c', `ss -K dst ${other.host.address} 2>/dev/null || true`])
        await pause(CUT_EVERY_MS)
      } else {
        cut(place)
        await pause(CUT_MS)
        mend(place)
        await pause(CUT_EVERY_MS - CUT_MS)
      }
    }
  })
  judge(outcome, outcome.arrival.worstGapMs, GAP_MAX_MS, `, cut ${cuts} times`)
}

/** How long after this moment the next bytes come. */
async function flowsAfter({ to }: Place): Promise<number> {
  const startedAt = performance.now()
  const before = await to.taken()
  while ((await to.taken()) === before) {
    if (performance.now() - startedAt > PATIENCE_MS) break
    await pause(10)
  }
  return Math.round(performance.now() - startedAt)
}

async function outage(name: string, setting: Setting): Promise<void> {
  let flowsMs = -1
  const outcome = await transfer(name, setting, async place => {
    await pause(BEFORE_MS)
    drop(place.to.host, 'meta iifname "eth" drop')
    await pause(OUTAGE_MS)
    letIn(place.to.host)
    flowsMs = await flowsAfter(place)
  })
  judge(outcome, flowsMs, GAP_MAX_MS, `, after ${OUTAGE_MS / 1_000} s without any network`)
}

async function freeze(name: string, setting: Setting): Promise<void> {
  let flowsMs = -1
  const outcome = await transfer(name, setting, async place => {
    await pause(BEFORE_MS)
    place.to.child.kill('SIGSTOP')
    await pause(FREEZE_MS)
    place.to.child.kill('SIGCONT')
    flowsMs = await flowsAfter(place)
  })
  judge(outcome, flowsMs, GAP_MAX_MS, `, after it stood still for ${FREEZE_MS / 1_000} s`)
}

/** The one that moves listens, where the wire is dialled: nobody can dial it at the old place any more. */
async function address(name: string, setting: Setting, who: 'from' | 'to'): Promise<void> {
  let renewed = true
  const outcome = await transfer(name, setting, async place => {
    const mover = place[who]
    await pause(BEFORE_MS)
    const from = mover.events.length
    lab.run(mover.host.namespace, ['ip', 'addr', 'flush', 'dev', 'eth'])
    lab.run(mover.host.namespace, ['ip', 'link', 'set', 'eth', 'down'])
    const other = lab.attachAlso(mover.host, 'cell')
    if (setting.over !== 'tcp' || who === 'from') return
    const self = await mover.event('self', from)
    renewed = JSON.stringify(self.addresses).includes(other)
  })
  if (!renewed) failed += 1
  const told = renewed ? '' : ', its ref names the OLD address'
  judge(outcome, outcome.arrival.worstGapMs, GAP_MAX_MS, told)
}

/** The relay carries all; what would be better fails again and again. */
async function better(name: string, rule: string): Promise<void> {
  const setting: Setting = { over: 'udp', startsOver: 'circuit' }
  const outcome = await transfer(name, setting, async place => {
    for (const { host } of [place.from, place.to]) drop(host, rule)
  })
  judge(outcome, outcome.arrival.worstGapMs, GAP_MAX_MS)
}

async function noPath(): Promise<void> {
  let goneAt = 0
  const { arrival, sent, secondsTaken } = await transfer(
    'no-path',
    { over: 'udp', pathlessMs: PATHLESS_MS, bytes: ENDLESS_BYTES },
    async ({ to }) => {
      await pause(BEFORE_MS)
      drop(to.host, 'meta iifname "eth" drop')
      goneAt = performance.now()
    },
  )
  const tookMs = Math.round(performance.now() - goneAt)
  const good = arrival.ended === 'session-lost' && sent.ended === 'session-lost' && tookMs < 2 * PATHLESS_MS
  if (!good) failed += 1
  console.log(
    `${good ? '' : '! '}no-path: the writer got ${sent.ended}, the reader ${arrival.ended}, ${tookMs} ms after the last path went ` +
      `(streams wait ${PATHLESS_MS} ms; ${secondsTaken.toFixed(1)} s in all)`,
  )
}

const CASES: Readonly<Record<string, (name: string) => Promise<void>>> = {
  'tcp-closed': name => cutEverySecond(name, { over: 'tcp' }, true),
  'tcp-silent': name => cutEverySecond(name, { over: 'tcp' }, false),
  udp: name => cutEverySecond(name, { over: 'udp' }, false),
  webrtc: name => cutEverySecond(name, { over: 'webrtc' }, false),
  chromium: name => cutEverySecond(name, { over: 'webrtc', sender: 'chromium' }, false),
  'outage-tcp': name => outage(name, { over: 'tcp' }),
  'outage-udp': name => outage(name, { over: 'udp' }),
  'outage-webrtc': name => outage(name, { over: 'webrtc' }),
  'freeze-tcp': name => freeze(name, { over: 'tcp' }),
  'freeze-udp': name => freeze(name, { over: 'udp' }),
  'freeze-webrtc': name => freeze(name, { over: 'webrtc' }),
  'address-tcp': name => address(name, { over: 'tcp' }, 'to'),
  'address-dialler': name => address(name, { over: 'tcp' }, 'from'),
  'address-udp': name => address(name, { over: 'udp' }, 'to'),
  'address-webrtc': name => address(name, { over: 'webrtc' }, 'from'),
  'udp-blocked': name => better(name, 'meta l4proto udp drop'),
  'udp-dies': name => better(name, 'udp length > 300 drop'),
  'no-path': () => noPath(),
}

try {
  for (const [name, run] of Object.entries(CASES)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue
    try {
      await run(name)
    } catch (error) {
      failed += 1
      console.log(`! ${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
    ending()
    lab = new NatLab()
  }
} finally {
  ending()
}
console.log(failed === 0 ? 'all as they should be' : `${failed} not as they should be`)
process.exit(failed === 0 ? 0 : 1)
