/** What all directors say of the health of real servers, merged; from the published fleet and the newest report of each. */
import { hostKey } from '../compile/compile.ts'
import { STALE_AFTER_SECONDS } from '../status/conditions.ts'
import { mergeHealth, type FleetVerdict, type ServerHealth } from '../status/health.ts'
import { loadReports } from '../store/host-store.ts'
import type { Deps } from './deps.ts'

export type HealthFilter = {
  readonly realServer?: string | undefined
  readonly verdict?: FleetVerdict | undefined
}

export async function readHealth(deps: Deps, filter: HealthFilter): Promise<ServerHealth[]> {
  const reports = await loadReports(deps.database.db)
  const { hosts } = deps.live.compiled()
  const observers = deps.live.snapshot.fleet.directors.map(({ name, site }) => {
    const key = hostKey('director', name)
    const received = reports.get(key)
    const ageMs =
      received === undefined ? Infinity : deps.now().getTime() - received.receivedAt.getTime()
    return {
      director: name,
      site,
      checks: hosts.get(key)?.state.checks ?? [],
      report: ageMs > STALE_AFTER_SECONDS * 1_000 ? null : (received?.report.health ?? null),
    }
  })
  return mergeHealth(observers).filter(
    ({ realServer, verdict }) =>
      (filter.realServer ?? realServer) === realServer && (filter.verdict ?? verdict) === verdict,
  )
}
