/**
 * May this state come into force? Takes what is in force, the candidate, what it would change and what this agent
 * carries; gives a refusal, or undefined. Pure: who asks decides what a refusal leads to.
 */
import { isProbe, isProbeKey, type Rejection } from '@lvs-fleet/contract'
import { shrinkAllowed, shrinkHeld } from '../plan/guard.ts'
import type { Candidate, InForce, ServiceChange, StateChange, Version } from './candidate.ts'
import { refuse } from './verify.ts'

export type Question = {
  readonly inForce: InForce
  readonly candidate: Candidate
  readonly change: StateChange
  /** Keys of the virtual services that this agent made. */
  readonly carried: ReadonlyMap<string, unknown>
  /** An operator allows a large removal on this host. */
  readonly allowShrink: boolean
}

export function judgeState(question: Question): Rejection | undefined {
  const { inForce, candidate, change, allowShrink } = question
  const { manifest } = candidate
  const version = candidate.version ?? undefined
  const changes = ofOperators(change)
  const after = serviceCountAfter(inForce, changes)
  if (after !== (manifest?.counts.services ?? after)) {
    return refuse('unreadable', 'a virtual service stands twice in the state', version)
  }
  if (allowShrink || (manifest !== null && shrinkAllowed(inForce.version, manifest))) {
    return undefined
  }
  const detail = lossOf(question) ?? shrinkHeld(inForce.serviceCount, changes)
  return detail === undefined ? undefined : refuse('shrink-held', detail, version)
}

export function quarantineRejection(version: Version): Rejection {
  const name = `${version.epoch}.${version.generation}`
  return refuse(
    'quarantined',
    `the agent died three times in a row on ${name}; the state before it is in force`,
    version,
  )
}

/** Paths follow from the virtual services: where those may go, so may they. */
function ofOperators(change: StateChange): ServiceChange[] {
  return [...change.services.values()].filter(({ before, after }) => {
    const service = after ?? before
    return service !== undefined && !isProbe(service)
  })
}

function serviceCountAfter(inForce: InForce, changes: readonly ServiceChange[]): number {
  let count = inForce.serviceCount
  for (const { before, after } of changes) {
    count += (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1)
  }
  return count
}

/** With nothing in force the ledger still says how many services this agent carries. */
function lossOf({ inForce, change, carried }: Question): string | undefined {
  if (inForce.source !== 'none') return undefined
  const made = [...carried.keys()].filter((key) => !isProbeKey(key))
  const lost = made.filter((key) => change.services.get(key)?.after === undefined)
  return lost.length > made.length / 4
    ? `${lost.length} of ${made.length} virtual services that this agent made would go`
    : undefined
}
