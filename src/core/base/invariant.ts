/** Our own faults are crashes: a broken invariant always throws, a remote peer's fault never does. */
export function invariant(condition: boolean, claim: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${claim}`)
}

/** Ends a closed switch: the compiler proves that no case is missing. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
