/**
 * Is this the only host with its key? Each assertion shows the link that was taken last and a new random one, which the
 * host has on disk before it sends it. Takes what the database holds and what is shown; gives the verdict. Pure.
 *
 * The host's own next step always follows on, and so does its repeat after a lost answer or a crash, because it
 * repeats the same pair. A copy of its disk shows, sooner or later, a link that the other has left behind. Two copies
 * that repeat one pair are told apart at their next step. Teleport's join document is a relative.
 */
import type { Chain } from './assertion.ts'

export type ChainVerdict =
  /** `held` is what to keep; null = nothing changes. */
  | { readonly is: 'follows'; readonly held: string | null }
  /** The whole pair of the step before: a second process of the same host that was a moment too late, or a copy at rest. */
  | { readonly is: 'late' }
  | { readonly is: 'stale' }
  | { readonly is: 'missing' }

/** `held` is the link that was taken last and, after a space, the one before it; null = the chain begins. */
export function judgeChain(held: string | null, shown: Chain | undefined): ChainVerdict {
  if (shown === undefined) return held === null ? { is: 'follows', held: null } : { is: 'missing' }
  if (held === null) return { is: 'follows', held: `${shown.next} ${shown.prev}` }
  const [last, before] = held.split(' ')
  if (shown.next === last) return { is: 'follows', held: null }
  if (shown.prev === last) return { is: 'follows', held: `${shown.next} ${last}` }
  return shown.next === before ? { is: 'late' } : { is: 'stale' }
}
