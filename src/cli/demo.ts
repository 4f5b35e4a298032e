/**
 * `webmesh demo`: eight peers in processes of their own form a mesh, and each claim that is printed has been checked.
 * Half of them take no connection at all; one is the only way in, and is killed.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { PeerId } from '../index.node.ts'
import { type CliCall, type CliCommand, CommandFailed, JSON_OPTION } from './command.ts'
import { DEMO_SERVICE, type DemoAnswer, type DemoCalls, type DemoStarted } from './demo-peer.ts'
import { type Report, shortId } from './report.ts'

const NAMES = ['Ada', 'Bela', 'Cem', 'Dora', 'Emil', 'Fay', 'Gus', 'Hana'] as const
const NEWCOMER = 'Ilse'
/** The first four listen on loopback; the others accept nothing, as behind a NAT. */
const LISTENING_COUNT = 4
const ECHO_BYTES = 256 * 1024
/** No step takes nearly as long: one that does has failed. */
const STEP_TIMEOUT_MS = 20_000

export const demo: CliCommand = {
  name: 'demo',
  summary: 'starts eight peers on this machine and shows what a mesh does',
  usage: '[--json]',
  help: `Starts eight peers as separate processes on loopback. Four of them accept no
connection at all, as behind a NAT. One is the only way in, and is killed later.
Each line is printed after it was checked; a check that fails ends the demo with 1.

  --json   one JSON object a line`,
  options: { ...JSON_OPTION },
  operands: [],
  async run(call) {
    const stage = new Stage(call)
    try {
      await Promise.race([perform(stage), stage.broken])
    } finally {
      stage.endAll()
    }
  },
}

async function perform(stage: Stage): Promise<void> {
  stage.heading('Eight peers, one way in')
  const peers: Actor[] = []
  for (const [index, name] of NAMES.entries()) peers.push(stage.actor(name, index < LISTENING_COUNT))
  // reason: there are eight of them.
  const first = peers[0]!
  const others = peers.slice(1)
  const { ref, listening } = await first.start([])
  stage.claim(
    'started',
    { name: first.name, peer: first.id, pid: first.pid, listening },
    `${first.title} listens on ${listening.join(', ')}`,
  )
  await Promise.all(
    others.map(async peer => {
      await peer.start([ref])
      const how = peer.listens ? 'listens too' : 'accepts no connections'
      const fields = { name: peer.name, peer: peer.id, pid: peer.pid, through: first.id, listens: peer.listens }
      stage.claim('joined', fields, `${peer.title} joined through ${first.name}; ${how}`)
    }),
  )

  stage.heading(`They find each other by the service ${DEMO_SERVICE}`)
  await Promise.all(
    peers.map(async peer => {
      await peer.ask('meet', { peers: idsWithout(peers, peer) })
      stage.claim('discovered', { name: peer.name, members: peers.length - 1 }, `${peer.title} found the other seven`)
    }),
  )

  stage.heading('Any to any')
  // reason: the last four accept nothing.
  const from = peers[LISTENING_COUNT]!
  const to = peers[LISTENING_COUNT + 1]!
  await showStream(stage, peers, from, to)

  stage.heading('A broadcast')
  await showBroadcast(stage, from, peers, 'hello, everybody')

  stage.heading(`${first.name}, the only way in that anybody was given, is killed`)
  first.kill()
  const killedAt = performance.now()
  stage.claim('killed', { name: first.name, peer: first.id }, `${first.title} is gone (SIGKILL)`)
  await showOneWhole(stage, others, killedAt)
  await showBroadcast(stage, to, others, 'still here')

  stage.heading('A newcomer joins through each of the rest in turn')
  for (const way of others) {
    const newcomer = stage.actor(NEWCOMER, false)
    const start = performance.now()
    await newcomer.start([await way.ask('ref', null)])
    await newcomer.ask('meet', { peers: others.map(peer => peer.id) })
    await newcomer.ask('stop', null)
    const tookMs = Math.round(performance.now() - start)
    stage.claim(
      'joined-later',
      { peer: newcomer.id, pid: newcomer.pid, through: way.id, tookMs },
      `${NEWCOMER} joined through ${way.title} and found all seven`,
    )
  }

  stage.heading(
    'All of it was checked. Your own peer, with a page that is one too at http://localhost:4100/: webmesh up --listen 0.0.0.0:4100',
  )
  stage.report.event('done', { ok: true }, null)
}

async function showStream(stage: Stage, peers: readonly Actor[], from: Actor, to: Actor): Promise<void> {
  const { same, path, tookMs } = await from.ask('echo', { peer: to.id, bytes: ECHO_BYTES })
  check(same, `${from.name} did not get its bytes back from ${to.name}`)
  check(
    path.kind === 'circuit',
    `${from.name} and ${to.name} should not reach each other directly, but path is ${path.kind}`,
  )
  const way = path.kind === 'circuit' ? path.via.map(peer => nameOf(peers, peer)).join(', ') : ''
  stage.claim(
    'stream',
    { from: from.id, to: to.id, path, bytes: ECHO_BYTES, tookMs: Math.round(tookMs) },
    `${from.name} opened a stream to ${to.name}, whom it cannot reach directly: ${from.name} → ${way} → ${to.name}; ` +
      `256 KiB went there and back in ${Math.round(tookMs)} ms`,
  )
}

async function showBroadcast(stage: Stage, from: Actor, peers: readonly Actor[], text: string): Promise<void> {
  const hearers = peers.filter(peer => peer !== from)
  const start = performance.now()
  await from.ask('broadcast', { text })
  const counts = await Promise.all(hearers.map(peer => peer.ask('heard', { text })))
  const tookMs = Math.round(performance.now() - start)
  check(
    counts.every(count => count === 1),
    `the broadcast was delivered more than once: ${counts.join(', ')}`,
  )
  const fields = { from: from.id, reached: hearers.length, tookMs }
  stage.claim(
    'broadcast',
    fields,
    `${from.name} says "${text}"; all ${hearers.length} others heard it, once, within ${tookMs} ms`,
  )
}

/** Every pair talks: no peer depended on the one that is gone. */
async function showOneWhole(stage: Stage, peers: readonly Actor[], since: number): Promise<void> {
  let pairs = 0
  await Promise.all(
    peers.map(async peer => {
      for (const other of peers) {
        if (other === peer) continue
        const { same } = await peer.ask('echo', { peer: other.id, bytes: 64 })
        check(same, `${peer.name} did not reach ${other.name}`)
        pairs += 1
      }
    }),
  )
  const tookMs = Math.round(performance.now() - since)
  stage.claim(
    'one-whole',
    { pairs, tookMs },
    `The other seven are still one whole: each of ${pairs} pairs talked, ${(tookMs / 1000).toFixed(1)} s after the kill`,
  )
}

function idsWithout(peers: readonly Actor[], except: Actor): PeerId[] {
  return peers.filter(peer => peer !== except).map(peer => peer.id)
}

function nameOf(peers: readonly Actor[], id: PeerId): string {
  return peers.find(peer => peer.id === id)?.name ?? shortId(id)
}

function check(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new CommandFailed(otherwise)
}

/** Who is on, and what has been said. */
class Stage {
  readonly report: Report
  private readonly signal: AbortSignal
  private readonly actors = new Set<Actor>()
  private readonly startedAt = performance.now()
  /** Rejects when a peer's process ends that nobody ended: what is claimed of it no longer holds. */
  readonly broken: Promise<never>
  private breakOff: (cause: CommandFailed) => void = () => {}

  constructor(call: CliCall) {
    this.report = call.report
    this.signal = call.signal
    call.signal.addEventListener('abort', () => this.endAll())
    this.broken = new Promise((_, reject) => {
      this.breakOff = reject
    })
  }

  actor(name: string, listens: boolean): Actor {
    const actor = new Actor(name, listens, this.signal, cause => this.breakOff(cause))
    this.actors.add(actor)
    return actor
  }

  heading(text: string): void {
    this.report.event('part', { text }, `\n${this.report.paint('bold', text)}`)
  }

  claim(event: string, fields: Readonly<Record<string, unknown>>, text: string): void {
    const seconds = ((performance.now() - this.startedAt) / 1000).toFixed(1).padStart(5)
    const mark = this.report.paint('green', '✓')
    this.report.event(event, fields, `${this.report.paint('dim', `${seconds} s`)}  ${mark} ${text}`)
  }

  endAll(): void {
    for (const actor of this.actors) actor.kill()
  }
}

/** A peer's process, seen from the demo. */
class Actor {
  readonly name: string
  readonly listens: boolean
  private started: DemoStarted | null = null
  private readonly child: ChildProcess
  private readonly signal: AbortSignal
  private readonly waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  private nextId = 1
  /** Its end is wanted. */
  private leaving = false
  /** Why nothing more can be asked of it. */
  private gone: CommandFailed | null = null

  constructor(name: string, listens: boolean, signal: AbortSignal, onBroken: (cause: CommandFailed) => void) {
    this.name = name
    this.listens = listens
    this.signal = signal
    const script = fileURLToPath(new URL('./demo-peer.js', import.meta.url))
    this.child = fork(script, {
      env: { ...process.env, WEBMESH_DEMO_PEER: '1' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.child.on('message', (answer: DemoAnswer) => this.onAnswer(answer))
    const onLost = (how: string): void => {
      const cause = new CommandFailed(`the process of ${name} ${how}`)
      if (!this.leaving) onBroken(cause)
      this.end(cause)
    }
    this.child.on('exit', (code, signalName) => onLost(`ended by itself (${code ?? signalName})`))
    this.child.on('error', error => onLost(`cannot be started: ${error.message}`))
  }

  get id(): PeerId {
    check(this.started !== null, `${this.name} has not started`)
    return this.started.peer
  }

  get pid(): number | undefined {
    return this.child.pid
  }

  get title(): string {
    return `${this.name} (${shortId(this.id)})`
  }

  async start(join: readonly string[]): Promise<DemoStarted> {
    this.started = await this.ask('start', { listen: this.listens, join })
    return this.started
  }

  ask<Name extends keyof DemoCalls>(
    call: Name,
    asked: Parameters<DemoCalls[Name]>[0],
  ): Promise<Awaited<ReturnType<DemoCalls[Name]>>> {
    const id = this.nextId++
    return new Promise((resolve, reject) => {
      if (call === 'stop') this.leaving = true
      const cannot = this.signal.aborted ? new CommandFailed('interrupted') : this.gone
      if (cannot !== null) {
        reject(cannot)
        return
      }
      const timer = setTimeout(() => {
        this.waiting.delete(id)
        reject(new CommandFailed(`${this.name} did not finish "${call}" within ${STEP_TIMEOUT_MS / 1000} s`))
      }, STEP_TIMEOUT_MS)
      this.waiting.set(id, {
        resolve: value => {
          clearTimeout(timer)
          resolve(value)
        },
        reject: error => {
          clearTimeout(timer)
          reject(error)
        },
      })
      // A process that dies cannot be written to a moment before its exit is told, and the exit says why.
      this.child.send({ id, call, asked }, () => {})
    })
  }

  kill(): void {
    this.leaving = true
    this.child.kill('SIGKILL')
    this.end(new CommandFailed(`${this.name} was ended`))
  }

  private onAnswer(answer: DemoAnswer): void {
    const waiting = this.waiting.get(answer.id)
    this.waiting.delete(answer.id)
    if ('error' in answer) waiting?.reject(new CommandFailed(`${this.name}: ${answer.error}`))
    // reason: the answer has the type that the call names; both ends share its declaration.
    else waiting?.resolve(answer.value as never)
  }

  private end(cause: CommandFailed): void {
    this.gone ??= cause
    for (const { reject } of this.waiting.values()) reject(this.gone)
    this.waiting.clear()
  }
}
