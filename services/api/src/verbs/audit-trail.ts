/** Checkpoints of the audit trail: its head, signed with the controller's key, so that a copy elsewhere holds the rest to it. */
import type { AuditCheckpoint } from '@lvs-fleet/contract'
import {
  auditHead,
  insertCheckpoint,
  listCheckpoints,
  type SignedCheckpoint,
} from '../store/audit-store.ts'
import type { Deps } from './deps.ts'

/** Kept checkpoints are at least so far apart. */
const CHECKPOINT_MS = 10 * 60_000

/** The head as it is now; undefined when nothing was ever done. */
export async function signHead(
  deps: Pick<Deps, 'database' | 'controllerKeys' | 'now'>,
): Promise<SignedCheckpoint | undefined> {
  const head = await auditHead(deps.database.db)
  if (head === undefined) return undefined
  const at = deps.now()
  const checkpoint: AuditCheckpoint = { ...head, at: at.toISOString() }
  return { ...head, at, jws: await deps.controllerKeys.signer.signCheckpoint(checkpoint) }
}

/** Keeps a checkpoint when something was done since the last one, and that is not of just now. */
export async function keepCheckpoint(
  deps: Pick<Deps, 'database' | 'controllerKeys' | 'now'>,
): Promise<void> {
  const [last] = await listCheckpoints(deps.database.db, { limit: 1, before: undefined })
  if (last !== undefined && deps.now().getTime() - last.at.getTime() < CHECKPOINT_MS) return
  const head = await signHead(deps)
  if (head !== undefined && head.number !== last?.number)
    await insertCheckpoint(deps.database.db, head)
}
