/**
 * Keeps an agent's report when it is newer than the last, with the events that the two make, in one transaction; a late
 * or doubled one changes nothing and tells nothing, at whichever process it arrives.
 */
import type { StatusReport } from '@lvs-fleet/contract'
import { hostKey } from '../compile/compile.ts'
import { reportEvents } from '../status/events/report-events.ts'
import { servicesByKey, type Seen } from '../status/events/seen.ts'
import { appendEvents } from '../store/event-store.ts'
import { lockReport, upsertReport, type Identity, type KeptReport } from '../store/host-store.ts'
import type { Deps } from './deps.ts'

export async function recordReport(
  deps: Deps,
  identity: Identity,
  report: StatusReport,
): Promise<void> {
  const receivedAt = deps.now()
  await deps.database.db.transaction(async (tx) => {
    const kept = await lockReport(tx, identity.id)
    if (!(await upsertReport(tx, identity.id, { report, receivedAt }))) return
    await appendEvents(
      tx,
      reportEvents(seenOf(deps, identity, kept, { report, receivedAt })),
      receivedAt,
    )
  })
}

function seenOf(
  deps: Deps,
  { role, name, site }: Identity,
  kept: KeptReport | undefined,
  { report, receivedAt }: { readonly report: StatusReport; readonly receivedAt: Date },
): Seen {
  const key = hostKey(role, name)
  const published = deps.live.snapshot.states.get(key)
  const services = deps.live.compiled().hosts.get(key)?.state.services ?? []
  return {
    role,
    name,
    site,
    before: kept?.report ?? null,
    beforeAt: kept?.receivedAt ?? null,
    now: report,
    at: receivedAt,
    published: published === undefined || published.removedAt !== null ? null : published,
    services: servicesByKey(services),
    wasStale: kept?.staleAt != null,
  }
}
