/** What the run of a soak and its processes and pages say to each other. */

/** One peer after another at one place: whoever goes is followed by itself or by another. */
export interface Slot {
  readonly number: number
  readonly listens: boolean
  /** Half of its stays are shorter than this; null: it stays. */
  readonly medianMs: number | null
}

export interface SoakOrder {
  /** Whom to talk to, and by whom others come in. */
  readonly peers: readonly string[]
  readonly waysIn: readonly string[]
  /** What this process is to have from now on. */
  readonly begin?: readonly Slot[]
  /** It is to say what it holds. */
  readonly count?: boolean
}

/** The peers that a process or page has, and what is left of those that it had. */
export interface HeldPeers {
  readonly peers: number
  readonly sessions: number
  readonly links: number
  readonly closed: number
  /** Of those, how many anything still holds. */
  readonly closedStillHeld: number
}

/** What a process or a page holds after a collection. */
export interface Held extends HeldPeers {
  readonly where: 'process' | 'page'
  /** Bytes, and numbers of descriptors. */
  readonly amounts: Readonly<Record<string, number>>
}

/** What became of bytes that a peer was to send back, and when. */
export interface Echo {
  readonly fault: string | null
  /** How the packets travelled when the session stood, then each change with its time. */
  readonly ways: readonly string[]
  readonly connectMs: number | null
  readonly firstMs: number | null
}

export interface Talk extends Echo {
  readonly from: string
  readonly to: string
  readonly ms: number
  /** The longest time that the process of `from` got nothing done of late: a busy machine is slow. */
  readonly standstillMs: number
}

export type SoakWord =
  /** Each second, while its process gets anything done. */
  | { readonly kind: 'alive' }
  | { readonly kind: 'up'; readonly peer: string; readonly ref: string | null }
  | { readonly kind: 'down'; readonly peer: string }
  | ({ readonly kind: 'talked' } & Talk)
  | { readonly kind: 'broadcast'; readonly peer: string; readonly broadcast: string }
  | { readonly kind: 'heard'; readonly peer: string; readonly broadcast: string }
  | { readonly kind: 'held'; readonly held: Held }
  | { readonly kind: 'trouble'; readonly what: string }
