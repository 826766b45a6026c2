/** Removes what is over: expired tokens and assertion ids, old join tokens, shards that nobody lists. */
import { deleteExpiredCredentials } from '../store/host-store.ts'
import { deleteExpiredEnrolments } from '../store/enrolment-store.ts'
import { pruneStates } from '../store/state-store.ts'
import { deleteOldJoinTokens } from '../store/token-store.ts'
import type { Deps } from './deps.ts'
import { keepJoinTokens } from './keep-join-tokens.ts'

/** Longer than any download of a document may take. */
const SHARD_KEEP_MS = 10 * 60_000
const JOIN_TOKEN_KEEP_MS = 7 * 24 * 3_600_000

export async function keepHouse(deps: Deps): Promise<void> {
  const now = deps.now()
  deps.sessions.prune(now)
  if (deps.joinTokens !== undefined) await keepJoinTokens(deps, deps.joinTokens)
  await deleteExpiredCredentials(deps.database.db, now)
  await deleteExpiredEnrolments(deps.database.db, now)
  await deleteOldJoinTokens(deps.database.db, new Date(now.getTime() - JOIN_TOKEN_KEEP_MS))
  await pruneStates(deps.database.db, new Date(now.getTime() - SHARD_KEEP_MS))
}
