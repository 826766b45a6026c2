/**
 * An exported audit trail: lines of JSON. First who signs, then every record from the first on, then checkpoints. Takes lines;
 * gives them parsed, one at a time, so that a trail of any length is verified in little memory.
 */
import {
  auditRecordSchema,
  publicKeySchema,
  type AuditRecord,
  type PublicKey,
} from '@lvs-fleet/contract'
import * as z from 'zod'
import { CliError } from '../cli-error.ts'

export const TRAIL_FORMAT = 'lvsfleet-audit-1'

const headerSchema = z.object({
  format: z.literal(TRAIL_FORMAT),
  controllerKeys: z.array(publicKeySchema),
})
const checkpointSchema = z.object({ checkpoint: z.object({ jws: z.string() }) })

export type TrailLine =
  | { readonly is: 'keys'; readonly keys: readonly PublicKey[] }
  | { readonly is: 'record'; readonly record: AuditRecord }
  | { readonly is: 'checkpoint'; readonly jws: string }

/**
 * Whether a line may be something else than a record, as those begin that are exported. The names of the others could hide only
 * behind escapes (`\u0063heckpoint`), so those count as well. Records are parsed once then, though their file is read twice.
 */
export function mayBeNoRecord(text: string): boolean {
  return (
    !text.startsWith('{"number":') ||
    text.includes('"checkpoint"') ||
    text.includes('"format"') ||
    text.includes('\\u')
  )
}

export function parseTrailLine(text: string, number: number): TrailLine {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new CliError(`line ${number} is not JSON`, 1)
  }
  const record = auditRecordSchema.safeParse(value)
  if (record.success) return { is: 'record', record: record.data }
  const checkpoint = checkpointSchema.safeParse(value)
  if (checkpoint.success) return { is: 'checkpoint', jws: checkpoint.data.checkpoint.jws }
  const header = headerSchema.safeParse(value)
  if (header.success) return { is: 'keys', keys: header.data.controllerKeys }
  throw new CliError(
    `line ${number} is neither a record nor a checkpoint: ${record.error.issues[0]?.path.join('.') ?? ''} ${record.error.issues[0]?.message ?? ''}`,
    1,
  )
}

export function trailHeader(keys: readonly PublicKey[]): string {
  return JSON.stringify({ format: TRAIL_FORMAT, controllerKeys: keys })
}
