/** Tells what was only counted, keeps a checkpoint, and removes what is over: expired tokens and assertion ids, old join tokens, shards that nobody lists. */
import { STALE_AFTER_SECONDS } from '../status/conditions.ts'
import { makeEvent } from '../status/event.ts'
import { appendEvents, pruneEvents } from '../store/event-store.ts'
import { deleteExpiredCredentials, markStale } from '../store/host-store.ts'
import { deleteExpiredEnrolments } from '../store/enrolment-store.ts'
import { pruneStates } from '../store/state-store.ts'
import { deleteOldJoinTokens } from '../store/token-store.ts'
import { keepCheckpoint } from './audit-trail.ts'
import type { Deps } from './deps.ts'
import { keepJoinTokens } from './keep-join-tokens.ts'

/** Longer than any download of a document may take. */
const SHARD_KEEP_MS = 10 * 60_000
const JOIN_TOKEN_KEEP_MS = 7 * 24 * 3_600_000
/** Events are kept for this long, and never more than so many. */
export const EVENT_KEEP_DAYS = 30
export const EVENTS_KEPT_MAX = 200_000

export async function keepHouse(deps: Deps): Promise<void> {
  const now = deps.now()
  deps.sessions.prune(now)
  await deps.refusals.flush()
  await keepCheckpoint(deps)
  if (deps.joinTokens !== undefined) await keepJoinTokens(deps, deps.joinTokens)
  await deleteExpiredCredentials(deps.database.db, now)
  await deleteExpiredEnrolments(deps.database.db, now)
  await deleteOldJoinTokens(deps.database.db, new Date(now.getTime() - JOIN_TOKEN_KEEP_MS))
  await tellStale(deps, now)
  await keepEvents(deps, now)
  await pruneStates(deps.database.db, new Date(now.getTime() - SHARD_KEEP_MS))
}

/** Silence makes no report, so nobody else tells of it. */
async function tellStale(deps: Deps, at: Date): Promise<void> {
  const before = new Date(at.getTime() - STALE_AFTER_SECONDS * 1_000)
  await deps.database.db.transaction(async (tx) => {
    const silent = await markStale(tx, { before, at })
    const events = silent.map(({ role, name, site, receivedAt }) =>
      makeEvent({
        kind: 'host.stale',
        severity: 'warning',
        at,
        site,
        ...(role === 'director' ? { director: name } : { realServer: name }),
        subject: `${role}/${name}`,
        cause: `last report at ${receivedAt.toISOString()}`,
        message: `nothing was heard of ${name} since ${receivedAt.toISOString()}; its kernel forwards as it was`,
      }),
    )
    await appendEvents(tx, events, at)
  })
}

export async function keepEvents(
  deps: Pick<Deps, 'database'>,
  now: Date,
  countMax = EVENTS_KEPT_MAX,
): Promise<void> {
  const before = new Date(now.getTime() - EVENT_KEEP_DAYS * 86_400_000)
  await deps.database.db.transaction((tx) => pruneEvents(tx, { before, countMax }))
}
