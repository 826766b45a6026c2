/** What the doctors of all hosts found last, broken ones first; from the newest report of each. */
import { ROLES, SEVERITIES, type Finding, type Role, type Severity } from '@lvs-fleet/contract'
import { loadReports } from '../store/host-store.ts'
import type { Deps } from './deps.ts'

export type HostFinding = {
  readonly role: Role
  readonly name: string
  readonly site: string
  readonly reportedAt: Date
  readonly finding: Finding
  /** Sorts, and is the same as long as the report is: pages go by it. */
  readonly key: string
}

export type DoctorFilter = {
  readonly role?: Role | undefined
  readonly name?: string | undefined
  readonly severity?: Severity | undefined
}

export async function listFindings(deps: Deps, filter: DoctorFilter): Promise<HostFinding[]> {
  const found: HostFinding[] = []
  const reports = await loadReports(deps.database.db)
  for (const [key, state] of deps.live.snapshot.states) {
    const received = reports.get(key)
    if (state.removedAt !== null || received === undefined) continue
    if (filter.role !== undefined && state.role !== filter.role) continue
    if (filter.name !== undefined && state.name !== filter.name) continue
    for (const [i, finding] of (received.report.doctor?.findings ?? []).entries()) {
      if (filter.severity !== undefined && finding.severity !== filter.severity) continue
      found.push({
        role: state.role,
        name: state.name,
        site: state.site,
        reportedAt: received.receivedAt,
        finding,
        key: sortKey(state, finding, i),
      })
    }
  }
  return found.toSorted((a, b) => (a.key < b.key ? -1 : 1))
}

/** Severity, then host; numbers padded, so that text order is the order. */
function sortKey(host: { role: Role; name: string }, finding: Finding, index: number): string {
  const place = String(index).padStart(4, '0')
  return `${SEVERITIES.indexOf(finding.severity)}/${ROLES.indexOf(host.role)}/${host.name}/${place}`
}
