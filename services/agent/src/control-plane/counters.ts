/** What is counted over all lives of this host's agent: reports, and drift that was repaired. */
import * as z from 'zod/mini'
import { loadSealedJson, saveSealedJson } from '../disk/sealed.ts'
import type { Disk } from '../ports.ts'

const FILE = 'counters.json'

const countersSchema = z.object({
  seq: z.int().check(z.gte(0)),
  driftCount: z.int().check(z.gte(0)),
})
export type Counters = z.infer<typeof countersSchema>

export async function loadCounters(disk: Disk): Promise<Counters> {
  const parsed = countersSchema.safeParse(await loadSealedJson(disk, FILE))
  return parsed.success ? parsed.data : { seq: 0, driftCount: 0 }
}

export async function saveCounters(disk: Disk, counters: Counters): Promise<void> {
  await saveSealedJson(disk, FILE, counters)
}
