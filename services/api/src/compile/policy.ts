/** Policies and overrides as a director hears them: names resolved, times as numbers. Pure. */
import { invariant, type OverrideState, type Policy, type QuorumState } from '@lvs-fleet/contract'
import type { OverrideSpec } from '../intent/kinds.ts'
import type { PoolPolicy } from '../intent/policy.ts'

/** `levels` and the sorry server are not in it, but in the placements of destinations. */
export function expandPolicy(policy: PoolPolicy): Policy {
  const capacities = Object.entries(policy.capacity)
    .map(([site, maxSharePercent]) => ({ site, maxSharePercent }))
    .toSorted((a, b) => (a.site < b.site ? -1 : 1))
  return {
    overprovisioningFactor: policy.overprovisioningFactor,
    panicThresholdPercent: policy.panicThresholdPercent,
    hysteresisPercent: policy.hysteresisPercent,
    maxChangePercent: policy.maxChangePercent,
    changeIntervalSeconds: policy.changeIntervalSeconds,
    slowStartSeconds: policy.slowStartSeconds,
    capacities,
  }
}

/** Also when it has expired: directors have clocks, compile has none. */
export function expandOverride(override: OverrideSpec): OverrideState {
  const { name, kind, weight, reason, owner } = override
  const fields = { name, reason, owner: owner ?? '', expiresAt: Date.parse(override.expiresAt) }
  invariant(kind !== 'quorum', `${name} is a verdict and no override of an operator`)
  return kind === 'weight' ? { kind, weight: weight ?? 0, ...fields } : { kind, ...fields }
}

export function expandQuorum({ reason, expiresAt }: OverrideSpec): QuorumState {
  return { why: reason, expiresAt: Date.parse(expiresAt) }
}
