/**
 * Quarantine for a state that kills the agent. The count of starts on one version is on disk before
 * anything is applied; a life of five minutes or a clean stop sets it to zero. After three deaths in a row the
 * version is quarantined: the other slot runs, and the control plane is told. No clock is compared across
 * lives, so a jumping clock cannot quarantine or release anything.
 */
import * as z from 'zod/mini'
import { loadSealedJson, saveSealedJson } from '../disk/sealed.ts'
import type { Disk } from '../ports.ts'
import type { Version } from './candidate.ts'

const FILE = 'boot.json'
export const DEATHS_MAX = 3
/** A life this long proves the state harmless. */
export const HARMLESS_AFTER_MS = 5 * 60_000

const versionSchema = z.object({ epoch: z.int(), generation: z.int(), digest: z.string() })
const bootRecordSchema = z.object({
  version: z.nullable(versionSchema),
  /** Starts on this version that did not end well, the running one included. */
  starts: z.int().check(z.gte(0)),
  quarantined: z.array(versionSchema).check(z.maxLength(4)),
})
export type BootRecord = z.infer<typeof bootRecordSchema>

export const FRESH_BOOT: BootRecord = { version: null, starts: 0, quarantined: [] }

/** The record after one more start whose newest usable state is `newest`. */
export function countStart(record: BootRecord, newest: Version | null): BootRecord {
  if (newest === null) return { ...record, version: null, starts: 0 }
  // Another version than recorded means that it came into force in the life before, and that life did not end cleanly.
  const starts = isSameVersion(record.version, newest)
    ? record.starts + 1
    : record.version === null
      ? 1
      : 2
  if (starts <= DEATHS_MAX) return { ...record, version: newest, starts }
  return { version: null, starts: 0, quarantined: [...record.quarantined.slice(-3), newest] }
}

export function isQuarantined(record: BootRecord, version: Version): boolean {
  return record.quarantined.some((bad) => isSameVersion(bad, version))
}

export async function loadBootRecord(disk: Disk): Promise<BootRecord> {
  const parsed = bootRecordSchema.safeParse(await loadSealedJson(disk, FILE))
  return parsed.success ? parsed.data : FRESH_BOOT
}

export async function saveBootRecord(disk: Disk, record: BootRecord): Promise<void> {
  await saveSealedJson(disk, FILE, record)
}

function isSameVersion(a: Version | null, b: Version): boolean {
  return a !== null && a.epoch === b.epoch && a.generation === b.generation && a.digest === b.digest
}

/** An operator lets quarantined states try again. */
export async function clearQuarantine(disk: Disk): Promise<void> {
  const record = await loadBootRecord(disk)
  if (record.quarantined.length > 0) await saveBootRecord(disk, { ...record, quarantined: [] })
}
