/** What must be and what cannot be, said once: both throw, because either is a bug, not an input. */

export function invariant(condition: boolean, why: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${why}`)
}

/** Ends an exhaustive switch: does not compile when a case is missing. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`)
}
