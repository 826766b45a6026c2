/**
 * The newest snapshot on disk, for `status`: what this host does can be read without any control plane. Not forced to
 * the device: every life writes it anew within a second, and each change would wait for it.
 */
import * as z from 'zod/mini'
import { healthReportSchema, type CheckHealth } from '@lvs-fleet/contract'
import { saveLoosely } from './disk/sealed.ts'
import type { Clock, Disk } from './ports.ts'
import { fingerprintOf, type Snapshot } from './report.ts'

const FILE = 'status.json'
/** While destinations drain, their remaining time is refreshed this often. */
const DRAIN_REFRESH_MS = 10_000

export type StatusFile = { save(snapshot: Snapshot): Promise<void> }

/** Writes when something changed. */
export function createStatusFile(disk: Disk, clock: Clock): StatusFile {
  let saved = ''
  let savedAtMs = 0
  return {
    async save(snapshot) {
      const fingerprint = fingerprintOf(snapshot)
      const isOld = snapshot.drainCount > 0 && clock.monotonicMs() - savedAtMs >= DRAIN_REFRESH_MS
      if (fingerprint === saved && !isOld) return
      const at = new Date(clock.wallMs()).toISOString()
      await saveLoosely(disk, FILE, `${JSON.stringify({ at, snapshot }, null, 2)}\n`)
      saved = fingerprint
      savedAtMs = clock.monotonicMs()
    },
  }
}

const recalledSchema = z.object({
  snapshot: z.object({ health: z.nullable(z.pick(healthReportSchema, { checks: true })) }),
})

/** What the last life knew of its checks, so that what was down gets nobody before it was looked at. */
export async function recallChecks(disk: Disk): Promise<readonly CheckHealth[]> {
  const parsed = recalledSchema.safeParse(await readStatusFile(disk))
  return parsed.success ? (parsed.data.snapshot.health?.checks ?? []) : []
}

/** The whole of it, unchecked. */
export async function readStatusFile(disk: Disk): Promise<unknown> {
  const text = await disk.read(FILE)
  return text === undefined ? undefined : parseJson(text)
}

/** A power cut may leave half a file. */
function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    return undefined
  }
}
