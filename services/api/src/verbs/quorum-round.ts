/**
 * Lays the health that directors report side by side and publishes what the quorum rules of pools make of it. Every API
 * process does it: what another one has published already is not published again.
 */
import { hostKey } from '../compile/compile.ts'
import { withObject, withoutObject, type Fleet } from '../intent/fleet.ts'
import { QUORUM_ACTOR } from '../intent/quorum.ts'
import { STALE_AFTER_SECONDS } from '../status/conditions.ts'
import {
  countVotes,
  decideQuorum,
  DOWN_VOTE_SECONDS,
  type Streaks,
  type Voter,
} from '../status/quorum.ts'
import { loadReports } from '../store/host-store.ts'
import type { Deps } from './deps.ts'
import { publish } from './publish.ts'

/** Takes the streaks of the round before, gives those for the next. */
export async function quorumRound(deps: Deps, streaks: Streaks): Promise<Streaks> {
  const { fleet } = deps.live.snapshot
  if (!concernsQuorum(fleet)) return new Map()
  const counts = countVotes(fleet.pools, fleet.virtualServices, await votersOf(deps))
  const now = deps.now()
  const rules = new Set(fleet.pools.filter((one) => one.quorum !== null).map(({ name }) => name))
  const decision = decideQuorum(counts, fleet.overrides, { streaks, rules, now })
  if (decision.put.length + decision.remove.length === 0) return decision.streaks
  await publish(deps, {
    actor: QUORUM_ACTOR,
    action: 'quorum.verdict',
    // Decided anew from what stands then: another process may have been quicker.
    change: (held) => {
      const again = decideQuorum(counts, held.fleet.overrides, { streaks, rules, now })
      const without = again.remove.reduce<Fleet>(
        (rest, name) => withoutObject(rest, 'override', name),
        held.fleet,
      )
      return again.put.reduce<Fleet>((rest, one) => withObject(rest, 'override', one), without)
    },
  })
  return decision.streaks
}

function concernsQuorum({ pools, overrides }: Fleet): boolean {
  return (
    pools.some(({ quorum }) => quorum !== null) || overrides.some((one) => one.kind === 'quorum')
  )
}

async function votersOf(deps: Deps): Promise<Voter[]> {
  const reports = await loadReports(deps.database.db)
  const { hosts } = deps.live.compiled()
  const nowMs = deps.now().getTime()
  return deps.live.snapshot.fleet.directors.map(({ name }) => {
    const key = hostKey('director', name)
    const received = reports.get(key)
    const ageMs = received === undefined ? Infinity : nowMs - received.receivedAt.getTime()
    return {
      director: name,
      services: hosts.get(key)?.state.services ?? [],
      report: ageMs <= STALE_AFTER_SECONDS * 1_000 ? (received?.report.health ?? null) : null,
      isRecent: ageMs <= DOWN_VOTE_SECONDS * 1_000,
    }
  })
}
