/** The newest snapshot of an agent on this host, for who tells of it. */
import { statusReportSchema } from '@lvs-fleet/contract'
import * as z from 'zod/mini'
import type { Disk } from './ports.ts'
import type { Snapshot } from './report.ts'
import { readStatusFile } from './status-file.ts'

const { seq: _, ...snapshotFields } = statusReportSchema.shape
const statusSchema = z.object({ at: z.string(), snapshot: z.object(snapshotFields) })

export type SavedStatus = { readonly at: string; readonly snapshot: Snapshot }

export async function loadStatus(disk: Disk): Promise<SavedStatus | undefined> {
  const parsed = statusSchema.safeParse(await readStatusFile(disk))
  return parsed.success ? parsed.data : undefined
}
