/**
 * Whether the verdict of other directors counts here. Pure. It does while the control plane was heard of not long ago:
 * whoever can retract it must be there, else a director believes what it sees itself.
 */
import type { QuorumState } from '@lvs-fleet/contract'
import type { Now } from './member.ts'

/** More than two polls take, with their waiting. */
export const CONTACT_MS = 120_000
/** Contact may come back at any moment. */
const LOOK_AGAIN_MS = 10_000

export type QuorumLook = {
  readonly counts: boolean
  /** Boot clock, ms: when it may be another one; null = never. */
  readonly nextMs: number | null
}

/** `contactMs`: boot clock, when the control plane last answered; undefined = not in this life. */
export function lookAtQuorum(
  quorum: QuorumState | undefined,
  contactMs: number | undefined,
  now: Now,
): QuorumLook {
  if (quorum === undefined || quorum.expiresAt <= now.wallMs) return { counts: false, nextMs: null }
  const endsMs = (contactMs ?? Number.NEGATIVE_INFINITY) + CONTACT_MS
  const again = now.monotonicMs + LOOK_AGAIN_MS
  if (endsMs <= now.monotonicMs) return { counts: false, nextMs: again }
  const expiresMs = now.monotonicMs + (quorum.expiresAt - now.wallMs)
  return { counts: true, nextMs: Math.min(again, endsMs, expiresMs) }
}
