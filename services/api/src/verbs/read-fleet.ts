/** The fleet now, from memory, or as it was at a revision, from the history. */
import { ApiError } from '../errors.ts'
import type { Fleet } from '../intent/fleet.ts'
import { loadObjectsAt } from '../store/intent-store.ts'
import type { Deps } from './deps.ts'
import { makeSnapshot, objectKey } from './live-fleet.ts'

export async function fleetAt(
  deps: Deps,
  revision: number | undefined,
): Promise<{ revision: number; fleet: Fleet }> {
  const held = deps.live.snapshot
  if (revision === undefined || revision === held.revision) return held
  if (revision > held.revision) {
    throw new ApiError(
      'not-found',
      `there is no revision ${revision}; the newest is ${held.revision}`,
    )
  }
  const objects = await loadObjectsAt(deps.database.db, revision)
  const byKey = new Map(objects.map((object) => [objectKey(object.kind, object.name), object]))
  return makeSnapshot({ revision, epoch: held.epoch }, byKey, new Map())
}
