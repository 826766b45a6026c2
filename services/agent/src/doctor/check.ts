/**
 * Check: one thing that the doctor knows about, as a pure function. Takes facts and the state in force, gives
 * findings: none on a healthy host. One file each in checks/, listed in all-checks.ts.
 */
import type { Finding, FailedOp, HostPart, Op, ServiceState } from '@lvs-fleet/contract'
import type { Facts } from './facts/facts.ts'

/** What this host is held to, and what is its agent's own. */
export type InForceView = {
  readonly source: 'none' | 'disk' | 'control-plane' | 'file'
  readonly host: HostPart
  readonly services: readonly ServiceState[]
  /** Service keys in the agent's ledger. */
  readonly ownedServices: ReadonlySet<string>
  /** What a round would do now, and could not do; null where no plan was made. */
  readonly pending: { readonly ops: readonly Op[]; readonly conflicts: readonly FailedOp[] } | null
}

export type Patient = { readonly facts: Facts; readonly state: InForceView }

/** A finding before it is known whose it is. */
export type Found = Omit<Finding, 'check'>

export type Check = {
  readonly id: string
  /** One line for `--list`. */
  readonly title: string
  readonly examine: (patient: Patient) => readonly Found[]
}

/** Everything that a host's checks find, broken first. */
export function examine(checks: readonly Check[], patient: Patient): Finding[] {
  const order = { broken: 0, risk: 1, info: 2 }
  return checks
    .flatMap((check) => check.examine(patient).map((found) => cut({ check: check.id, ...found })))
    .toSorted((a, b) => order[a.severity] - order[b.severity])
}

/** Lengths that a report may carry. */
function cut(finding: Finding): Finding {
  return {
    ...finding,
    object: finding.object.slice(0, 200),
    found: finding.found.slice(0, 400),
    wanted: finding.wanted.slice(0, 400),
    why: finding.why.slice(0, 600),
    symptom: finding.symptom.slice(0, 400),
    commands: finding.commands.slice(0, 10).map((command) => command.slice(0, 400)),
  }
}
