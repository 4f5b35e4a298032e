/** What the lab asks its peers, and what they answer. */

/** Bytes there and back, by peer id alone; then up to so long until the path is a wire. */
export interface Meeting {
  readonly peer: string
  readonly bytes: number
  readonly patienceMs: number
}

export interface Met {
  readonly same: boolean
  /** The transport of a wire, or `circuit`. */
  readonly path: string
  /** From asking for the peer until its first byte was back. */
  readonly firstMs: number | null
  /** Until the path was seen to be a wire; null where it became none. */
  readonly directMs: number | null
}
