/**
 * Every kind of NAT to every kind: a megabyte by peer id alone, and what the path becomes. Prints a table; ends with 1 where a pair
 * did not exchange it, or one that plain ICE connects is not direct within its time.
 *
 *   npm run natlab [-- KIND…]
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { MeshOptions } from '../../src/index.node.ts'
import { NAT_KINDS, type NatKind, NatLab, noLab } from './nat-lab.ts'

const why = noLab()
if (why !== null) {
  console.log(`the NAT lab is skipped: ${why}`)
  process.exit(0)
}

const BYTES = 1_048_576
/** Sprayed ports take up to 7 s, from a second after the session stands. */
const PATIENCE_MS = 12_000
const SCRIPT = fileURLToPath(new URL('./natlab-peer.js', import.meta.url))
const wanted = process.argv.slice(2)
type Kind = NatKind | 'public' | 'double'

interface Met {
  readonly error?: string
  readonly same: boolean
  readonly path: string
  readonly firstMs: number | null
  readonly directMs: number | null
}

const ALL: readonly Kind[] = ['public', ...NAT_KINDS, 'double']
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

  constructor(namespace: string, options: MeshOptions) {
    this.child = spawn('ip', ['netns', 'exec', namespace, process.execPath, SCRIPT, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
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
  ask<Answer>(call: Readonly<Record<string, unknown>>): Promise<Answer & { readonly error?: string }> {
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

/** Whether ICE connects these two without a relay (RFC 8445 with the NATs of RFC 4787). */
function isEasy(one: Kind, other: Kind): boolean {
  const sides = [one, other].map((kind): Kind => (kind === 'double' ? 'port-restricted' : kind))
  if (sides.includes('public')) return true
  if (sides.some(kind => kind === 'udp-blocked' || kind === 'only-443')) return false
  if (!sides.includes('symmetric')) return true
  return sides.some(kind => kind === 'full-cone' || kind === 'address-restricted')
}

let failed = 0
try {
  lab = new NatLab()
  const segment = lab
  const open: LabPeer[] = []
  for (let i = 0; i < 3; i += 1) {
    const { namespace, address } = segment.publicHost()
    // One where those who may only use the web can come in.
    const port = i === 2 ? 443 : 4_100
    const join = open.map(({ ref }) => ref)
    open.push(await new LabPeer(namespace, { listen: [`${address}:${port}`], join }).start())
  }
  const join = open.map(({ ref }) => ref)
  const startOf = (kind: Kind): Promise<LabPeer> => {
    if (kind === 'public') {
      const { namespace, address } = segment.publicHost()
      return new LabPeer(namespace, { listen: [`${address}:443`], join }).start()
    }
    const { namespace } =
      kind === 'double' ? segment.hostBehind('port-restricted', 'port-restricted') : segment.hostBehind(kind)
    return new LabPeer(namespace, { join }).start()
  }
  const from = await Promise.all(kinds.map(startOf))
  const to = await Promise.all(kinds.map(startOf))
  await new Promise(resolve => setTimeout(resolve, 3_000))
  const cells = new Map<string, Met>()
  for (let shift = 0; shift < kinds.length; shift += 1) {
    const round = kinds.map(async (kind, i) => {
      const j = (i + shift) % kinds.length
      const asked = { call: 'meet', peer: to[j]!.id, bytes: BYTES, patienceMs: PATIENCE_MS }
      cells.set(`${kind} ${kinds[j]}`, await from[i]!.ask<Met>(asked))
    })
    await Promise.all(round)
  }
  const wide = Math.max(...kinds.map(kind => kind.length)) + 1
  console.log(''.padEnd(wide), ...kinds.map(kind => kind.padEnd(wide)))
  for (const one of kinds) {
    const row = kinds.map(other => {
      const { error, same, path, directMs } = cells.get(`${one} ${other}`)!
      const ok = error === undefined && same && (directMs !== null || !isEasy(one, other))
      if (!ok) failed += 1
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
  console.log(failed === 0 ? 'all as they should be' : `${failed} pairs are not as they should be`)
} finally {
  ending()
}
process.exit(failed === 0 ? 0 : 1)
