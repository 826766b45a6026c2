/** Keeps an agent's report when it is newer than the last; a late or doubled one changes nothing. */
import type { StatusReport } from '@lvs-fleet/contract'
import { upsertReport, type Identity } from '../store/host-store.ts'
import type { Deps } from './deps.ts'

export async function recordReport(
  deps: Deps,
  identity: Identity,
  report: StatusReport,
): Promise<void> {
  await upsertReport(deps.database.db, identity.id, { report, receivedAt: deps.now() })
}
