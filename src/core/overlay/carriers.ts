/** The paths of sessions as the overlay sees them. */
import type { Path } from '../session/path.ts'
import type { Session } from '../session/session.ts'
import type { Carrier } from '../session/wire.ts'

// reason: every path in this program is a carrier; the session needs to know less of it.
export function asCarrier(path: Path): Carrier {
  return path as Carrier
}

/** What the session travels over now; null where it has no path. */
export function carrierOf(session: Session): Carrier | null {
  return session.path === null ? null : asCarrier(session.path)
}

/** A wire is better than a circuit. */
export function isBetter(carrier: Carrier, than: Path | null): boolean {
  return than === null || (carrier.reliable && !than.reliable)
}
