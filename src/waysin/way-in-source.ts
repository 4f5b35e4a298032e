/**
 * Ways in that need no ref at hand: a URL whose JSON lists refs, a DNS name whose TXT records hold them. What is found is only a
 * claim: each ref is read and verified as one that a user gave.
 */
import type { Address } from '../core/base/address.ts'
import { fail, ok, type Result } from '../core/base/fault.ts'
import type { Acceptor } from '../paths/wire-driver.ts'

export type WayInSource =
  | { readonly kind: 'url'; readonly url: string }
  /** `server` is a DNS server as `host:port`; null for the system's. */
  | { readonly kind: 'dns'; readonly name: string; readonly server: string | null }

/** The texts that a source holds. Rejects with what went wrong, in words. */
export type FindRefs = (source: WayInSource, signal: AbortSignal) => Promise<readonly string[]>

/** A place where peers hear each other before they are in: other tabs of this origin, the local network. */
export interface Meeting {
  /** Asks all who are there for their refs. */
  ask(): void
  close(): void
}

/** The peer that meets others. */
export interface MeetingPeer {
  /** What to answer others; null while this one leads nowhere. */
  ref(): string | null
  /** Takes wires that others open here. */
  readonly accept: Acceptor
  /** Somebody answered: with a ref, or with an address of this machine. */
  onWayIn(way: string | Address): void
}

/** Null where nobody can be heard. */
export type Meet = (peer: MeetingPeer) => Meeting | null

/** Who is asked by many answers once within this. */
export const SAID_AGAIN_MS = 500
/** How long after its start a peer without links asks, and how often from then on. */
export const ASK_AFTER_MS: readonly number[] = [0, 1_000, 4_000, 15_000]
export const ASK_AGAIN_MS = 60_000

/** More are not looked at, whatever a source lists. */
export const REFS_FOUND_MAX = 64
export const SOURCE_TIMEOUT_MS = 5_000

/** `https://…`, `http://…`, `dns:name`, `dns://server:port/name` (RFC 4501); null where it is no such text. */
export function parseSource(text: string): Result<WayInSource> | null {
  const trimmed = text.trim()
  if (/^https?:/i.test(trimmed)) {
    if (!URL.canParse(trimmed)) return bad(trimmed)
    return ok({ kind: 'url', url: trimmed })
  }
  if (!/^dns:/i.test(trimmed)) return null
  const match = /^dns:(?:\/\/([\w.:[\]-]*)\/)?([\w-]+(?:\.[\w-]+)*\.?)$/i.exec(trimmed)
  const name = match?.[2]
  if (name === undefined || name.length > 253) return bad(trimmed)
  const server = match?.[1]
  return ok({ kind: 'dns', name, server: server === undefined || server === '' ? null : server })
}

function bad(text: string): Result<never> {
  return fail({
    code: 'invalid-address',
    detail: `${text.slice(0, 120)} (write https://host/refs.json, dns:name or dns://server:53/name)`,
  })
}
