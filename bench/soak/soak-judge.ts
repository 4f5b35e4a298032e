/** What the processes of a soak tell, taken together: who was there, what came of talks and broadcasts, what went wrong. */
import type { SoakWord, Talk } from './soak-words.ts'

/** Whoever is there for so long is known to the others. */
const KNOWN_MS = 10_000
/** A broadcast has come by then, or never comes. */
const BROADCAST_MS = 25_000
/** Whoever is gone for so long plays no part in anything that is still judged. */
const GONE_MS = 35_000
/** An echo that takes longer is told of. */
const SLOW_MS = 2_000
const FAILED_SHARE_MAX = 0.001
const REACHED_SHARE_MIN = 0.9999

interface Life {
  readonly process: number
  readonly since: number
  /** Of one that takes connections. */
  readonly ref: string | null
  until: number | null
}

interface Broadcast {
  sent: { readonly at: number; readonly from: string } | null
  /** By peer: since when it was there. */
  readonly heard: Map<string, number>
}

export class SoakJudge {
  private readonly startedAt = performance.now()
  /** By peer id; the newest life of each. */
  private readonly lives = new Map<string, Life>()
  /** By name. Processes tell in any order: who hears of one may do so before its sender has told. */
  private readonly broadcasts = new Map<string, Broadcast>()
  private readonly troubles = new Map<string, number>()
  private readonly missed: string[] = []
  private readonly paths = new Map<string, number>()
  private readonly talksMs: number[] = []
  private failed = 0
  private slow = 0
  private owed = 0
  private reached = 0
  private twice = 0

  /** Who has been there for a while. */
  peers(): string[] {
    const now = performance.now()
    return [...this.lives].flatMap(([peer, { until, since }]) =>
      until === null && now - since >= KNOWN_MS ? [peer] : [],
    )
  }

  waysIn(): string[] {
    return [...this.lives.values()].flatMap(({ ref, until }) => (ref !== null && until === null ? [ref] : []))
  }

  hear(process: number, word: Exclude<SoakWord, { kind: 'held' | 'alive' }>): void {
    const now = performance.now()
    switch (word.kind) {
      case 'up':
        this.lives.set(word.peer, { process, since: now, ref: word.ref, until: null })
        return
      case 'down': {
        const life = this.lives.get(word.peer)
        if (life !== undefined) life.until = now
        return
      }
      case 'talked':
        this.talked(word)
        return
      case 'broadcast':
        this.broadcast(word.broadcast).sent = { at: now, from: word.peer }
        return
      case 'heard': {
        const { heard } = this.broadcast(word.broadcast)
        const since = this.lives.get(word.peer)?.since ?? now
        // Who comes again within seconds hears once more what it had forgotten.
        if (heard.get(word.peer) === since) this.twice += 1
        heard.set(word.peer, since)
        return
      }
      case 'trouble':
        this.trouble(word.what)
        return
    }
  }

  onProcessGone(process: number): void {
    for (const life of this.lives.values()) if (life.process === process) life.until ??= performance.now()
  }

  trouble(what: string): void {
    const known = this.troubles.get(what) ?? 0
    this.troubles.set(what, known + 1)
    if (known === 0) this.log(what)
  }

  log(what: string): void {
    console.log(`${((performance.now() - this.startedAt) / 60_000).toFixed(1)} min: ${what}`)
  }

  /** Those that everybody has had time for: who was there all the while is to have heard them. */
  judgeBroadcasts(): void {
    const now = performance.now()
    for (const [name, { sent, heard }] of this.broadcasts) {
      if (sent === null || now - sent.at < BROADCAST_MS) continue
      this.broadcasts.delete(name)
      const sender = this.lives.get(sent.from)
      if (sender === undefined || sender.until !== null) continue
      for (const [peer, life] of this.lives) {
        if (peer === sent.from || life.until !== null || sent.at - life.since < KNOWN_MS) continue
        this.owed += 1
        if (heard.has(peer)) this.reached += 1
        else
          this.missed.push(
            `from ${there(sender, sent.at)}, to ${there(life, sent.at)}; ${heard.size} of ${this.lives.size} heard it`,
          )
      }
    }
    for (const [peer, { until }] of this.lives) if (until !== null && now - until > GONE_MS) this.lives.delete(peer)
  }

  line(): string {
    const talks = this.talksMs.length + this.failed
    return (
      `${this.peers().length} peers; ${talks} talks, ${this.failed} failed, ${this.slow} over ${SLOW_MS / 1_000} s;` +
      ` broadcasts ${this.reached} of ${this.owed}, ${this.twice} twice`
    )
  }

  /** Prints what came of it; whether all is as it should be. */
  conclude(): boolean {
    const sorted = this.talksMs.toSorted((a, b) => a - b)
    const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(0)
    console.log(this.line())
    console.log(`a talk takes ${at(0.5)} ms; 95 % at most ${at(0.95)}, 99 % ${at(0.99)}, the longest ${at(1)}`)
    console.log(`ways when it began: ${[...this.paths].map(([kind, count]) => `${kind} ${count}`).join(', ')}`)
    for (const line of this.missed.slice(0, 20)) console.log(`not reached: ${line}`)
    for (const [what, count] of this.troubles) console.log(`${count} x ${what}`)
    const talks = sorted.length + this.failed
    const isReached = this.owed > 0 && this.reached >= REACHED_SHARE_MIN * this.owed
    return talks > 0 && this.failed <= FAILED_SHARE_MAX * talks && isReached && this.twice === 0
  }

  private broadcast(name: string): Broadcast {
    const known = this.broadcasts.get(name) ?? { sent: null, heard: new Map() }
    this.broadcasts.set(name, known)
    return known
  }

  private talked({ from, to, ms, fault, ways, connectMs, firstMs, standstillMs }: Talk): void {
    const life = this.lives.get(to)
    // Who left meanwhile, or came anew, is not blamed.
    const wasThere = life !== undefined && life.until === null && performance.now() - life.since >= ms + KNOWN_MS
    if (fault !== null && !wasThere) return
    const [path = 'none'] = ways
    this.paths.set(path, (this.paths.get(path) ?? 0) + 1)
    if (fault === null) this.talksMs.push(ms)
    else this.failed += 1
    if (ms > SLOW_MS) this.slow += 1
    if (fault === null && ms <= SLOW_MS) return
    const steps = [`connected ${round(connectMs)}`, `first byte ${round(firstMs)}`, `done ${round(ms)}`].join(', ')
    this.log(
      `${fault ?? 'slow'}: ${from.slice(0, 8)} to ${to.slice(0, 8)}, ms: ${steps}; ${ways.join(', ')}` +
        ` (its process stood still for ${round(standstillMs)})`,
    )
  }
}

function there({ process, since }: Life, at: number): string {
  return `one of process ${process} that was there for ${((at - since) / 1_000).toFixed(0)} s`
}

function round(ms: number | null): string {
  return ms === null ? '-' : ms.toFixed(0)
}
