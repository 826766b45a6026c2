/**
 * The removal limit at the agent's end: a generation that takes away too much is held and reported, not
 * applied, unless its manifest says that an operator allowed it for this generation. The limit itself is the
 * contract's; here it is applied to the changed services only, so that a small change stays cheap.
 */
import {
  shrinkOf,
  SHRINK_SERVICES_MAX,
  type Manifest,
  type ServiceState,
} from '@lvs-fleet/contract'
import type { ServiceChange, Version } from '../state/candidate.ts'

/** Why this change is too large to make without a word from an operator; undefined when it is not. */
export function shrinkHeld(
  servicesBefore: number,
  changes: Iterable<ServiceChange>,
): string | undefined {
  const before: ServiceState[] = []
  const after: ServiceState[] = []
  let removed = 0
  for (const change of changes) {
    if (change.before === undefined) continue
    if (change.after === undefined) removed++
    else {
      before.push(change.before)
      after.push(change.after)
    }
  }
  const kept = shrinkOf({ services: before }, { services: after })
  const reasons = kept.held ? [kept.detail] : []
  if (removed > servicesBefore * SHRINK_SERVICES_MAX) {
    reasons.unshift(`${removed} of ${servicesBefore} virtual services would go`)
  }
  return reasons.length === 0 ? undefined : reasons.join('; ')
}

/**
 * Whether an operator allowed a large removal between what is in force and this manifest. After an
 * epoch bump generations of the two sides do not compare, so only an allowance for exactly this one counts.
 */
export function shrinkAllowed(
  inForce: Pick<Version, 'epoch' | 'generation'> | null,
  manifest: Pick<Manifest, 'epoch' | 'generation' | 'shrinkAllowedGeneration'>,
): boolean {
  const allowed = manifest.shrinkAllowedGeneration
  if (inForce === null || inForce.epoch !== manifest.epoch) return allowed === manifest.generation
  return inForce.generation < allowed && allowed <= manifest.generation
}
