/** Hosts as operators see them: what is declared, published, enrolled and reported, and the conditions of that. */
import { ROLES, type Role, type StatusReport } from '@lvs-fleet/contract'
import { hostKey } from '../compile/compile.ts'
import { conditionsOf, type Condition } from '../status/conditions.ts'
import {
  findStandingIdentity,
  findReport,
  listStandingIdentities,
  loadReports,
  type Identity,
  type ReceivedReport,
} from '../store/host-store.ts'
import type { PublishedState } from '../store/state-store.ts'
import type { Deps } from './deps.ts'

export type HostView = {
  readonly role: Role
  readonly name: string
  readonly site: string
  readonly published: PublishedState
  readonly identity: Identity | null
  readonly report: StatusReport | null
  readonly reportReceivedAt: Date | null
  readonly conditions: readonly Condition[]
}

export async function listHosts(
  deps: Deps,
  filter: { readonly role?: Role | undefined; readonly site?: string | undefined },
): Promise<HostView[]> {
  const identities = new Map(
    (await listStandingIdentities(deps.database.db)).map((one) => [
      hostKey(one.role, one.name),
      one,
    ]),
  )
  const reports = await loadReports(deps.database.db)
  const views: HostView[] = []
  for (const [key, state] of deps.live.snapshot.states) {
    if (state.removedAt !== null) continue
    if (filter.role !== undefined && state.role !== filter.role) continue
    if (filter.site !== undefined && state.site !== filter.site) continue
    views.push(viewOf(deps, state, identities.get(key), reports.get(key)))
  }
  return views.toSorted(
    (a, b) => ROLES.indexOf(a.role) - ROLES.indexOf(b.role) || (a.name < b.name ? -1 : 1),
  )
}

export async function findHostView(
  deps: Deps,
  role: Role,
  name: string,
): Promise<HostView | undefined> {
  const state = findPublished(deps, role, name)
  if (state === undefined) return undefined
  const identity = await findStandingIdentity(deps.database.db, { role, name })
  const report =
    identity === undefined ? undefined : await findReport(deps.database.db, identity.id)
  return viewOf(deps, state, identity, report)
}

export function findPublished(deps: Deps, role: Role, name: string): PublishedState | undefined {
  const state = deps.live.snapshot.states.get(hostKey(role, name))
  return state === undefined || state.removedAt !== null ? undefined : state
}

function viewOf(
  deps: Deps,
  published: PublishedState,
  identity: Identity | undefined,
  received: ReceivedReport | undefined,
): HostView {
  const report = received?.report ?? null
  const reportReceivedAt = received?.receivedAt ?? null
  return {
    role: published.role,
    name: published.name,
    site: published.site,
    published,
    identity: identity ?? null,
    report,
    reportReceivedAt,
    conditions: conditionsOf({
      published,
      report,
      reportReceivedAt,
      now: deps.now(),
      enrolled: identity !== undefined,
      quarantine: identity?.quarantine ?? null,
    }),
  }
}
