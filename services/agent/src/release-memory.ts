/**
 * A first state of thousands of virtual services leaves a heap that is mostly garbage, and nothing that comes after is
 * large enough to make V8 collect it: a director would hold that memory for ever.
 */

/** Ops of one round that are worth a collection of everything, which takes some 50 ms then. */
const LARGE_ROUND_OPS = 5_000

/** Gives unused memory back to the system after a large round. Needs Node's --expose-gc; does nothing without it. */
export function releaseMemory(round: { readonly ops: number }): void {
  if (round.ops < LARGE_ROUND_OPS) return
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
