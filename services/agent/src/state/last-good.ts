/**
 * The last-known-good state of a life that begins: counts this start first, so that a state which kills the agent
 * is quarantined by the start after its third death, and then takes the newest state that is not.
 */
import { countStart, isQuarantined, type BootRecord } from './boot-counter.ts'
import type { LoadedState, StateStore } from './store.ts'

/** `boot`: the record to be written before anything is applied. */
export async function loadCounting(
  store: StateStore,
  before: BootRecord,
): Promise<{ readonly boot: BootRecord; readonly loaded: LoadedState | undefined }> {
  const usableBy = (record: BootRecord) => store.load((version) => !isQuarantined(record, version))
  const loaded = await usableBy(before)
  const counted = countStart(before, loaded?.candidate.version ?? null)
  const isNew = counted.quarantined.length > before.quarantined.length
  if (!isNew && counted.version !== null) return { boot: counted, loaded }
  const next = await usableBy(counted)
  return { boot: countStart(counted, next?.candidate.version ?? null), loaded: next }
}
