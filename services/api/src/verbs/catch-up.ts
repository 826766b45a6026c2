/**
 * Catching up by asking: for processes that nobody can tell of changes, because they are frozen between two
 * requests. Takes how old the knowledge may be, in ms; asks the database once when it is older, and reads what
 * changed. With 0 a reader sees every write that was answered before his request, whichever process took it.
 */
import { isDatabaseAway } from '../store/database.ts'
import { loadChangeMarks } from '../store/change-marks.ts'
import type { Deps } from './deps.ts'

export type CatchUp = (maxAgeMs: number) => Promise<void>

export function makeCatchUp(deps: Deps): CatchUp {
  let askedAt: number | undefined
  let voided: string | undefined
  return async (maxAgeMs) => {
    const now = deps.now().getTime()
    // Wall clock, because others may stand still while the process is frozen; one that went back proves nothing.
    if (askedAt !== undefined && now >= askedAt && now - askedAt < maxAgeMs) return
    const { db } = deps.database
    const marks = await askTwice(() => loadChangeMarks(db))
    // One after the other: an instance may have but one connection.
    await deps.controllerKeys.refresh(db)
    await deps.events.refresh()
    if (deps.live.isBehind(marks.revision)) {
      // Too many writers wait: each of them refreshes as well.
      await deps.live.exclusive(() => deps.live.refresh())
    }
    if (voided !== undefined && voided !== marks.voided) deps.sessions.clear()
    voided = marks.voided
    askedAt = now
  }
}

/** A connection that broke while the process was frozen shows only now; the pool has a fresh one for the second try. */
async function askTwice<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (!isDatabaseAway(error)) throw error
    return ask()
  }
}
