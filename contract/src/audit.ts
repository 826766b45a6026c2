/**
 * The audit chain: each record carries the SHA-256 of its own canonical text and the hash of the record before it,
 * and a checkpoint is a signed head. Takes records in order; gives what is wrong with them. The hash function is
 * handed in, so that this file needs nothing but itself: the API writes by it, the CLI verifies by it.
 */
import * as z from 'zod'
import { canonicalJson } from './canonical.ts'
import { positiveSchema } from './shapes.ts'

const hashSchema = z.string().check(z.regex(/^[0-9a-f]{64}$/))

export const auditRecordSchema = z.object({
  /** Grows with each record; numbers may be left out where a transaction was given up. */
  number: positiveSchema,
  at: z.iso.datetime(),
  actor: z.string(),
  action: z.string(),
  subject: z.string(),
  revision: z.nullable(z.int()),
  detail: z.record(z.string(), z.unknown()),
  hash: hashSchema,
})
export type AuditRecord = z.infer<typeof auditRecordSchema>

/** Head of the chain at some time: what a checkpoint signs. */
export const auditCheckpointSchema = z.object({
  number: positiveSchema,
  hash: hashSchema,
  at: z.iso.datetime(),
})
export type AuditCheckpoint = z.infer<typeof auditCheckpointSchema>

/** `typ` of a checkpoint's JWS, so that no other signature of the same key is taken for one. */
export const AUDIT_CHECKPOINT_TYPE = 'lvsfleet-audit-checkpoint'

/** What stands for the hash before the first record. */
export const AUDIT_START = '0'.repeat(64)

/**
 * What is hashed for one record: its canonical JSON with the hash before it as `previous`. Written out field by field,
 * sorted, because a trail of years is verified in one go.
 */
export function auditText(record: Omit<AuditRecord, 'hash'>, previous: string): string {
  const { number, at, actor, action, subject, revision, detail } = record
  const text = JSON.stringify
  return `{"action":${text(action)},"actor":${text(actor)},"at":${text(at)},"detail":${canonicalJson(detail)},"number":${number},"previous":${text(previous)},"revision":${revision},"subject":${text(subject)}}`
}

export type AuditFault = { readonly number: number; readonly fault: string }

/** Faults in one verdict; the first tells where to look. */
const FAULTS_MAX = 100

/** Takes the records of a whole trail, from the first on, then tells what is wrong with it. */
export class AuditVerifier {
  readonly #sha256: (text: string) => string
  readonly #expected: Map<number, AuditCheckpoint>
  readonly #faults: AuditFault[] = []
  #previous = { number: 0, hash: AUDIT_START }
  #count = 0

  /** Two checkpoints of one number and different hashes are two histories: told as a fault. */
  constructor(sha256: (text: string) => string, checkpoints: readonly AuditCheckpoint[]) {
    this.#sha256 = sha256
    this.#expected = new Map()
    for (const checkpoint of checkpoints) {
      const known = this.#expected.get(checkpoint.number)
      if (known !== undefined && known.hash !== checkpoint.hash)
        this.#tell(checkpoint.number, 'two checkpoints of this number say different hashes')
      this.#expected.set(checkpoint.number, checkpoint)
    }
  }

  take(record: AuditRecord): void {
    const { number, hash } = record
    if (number <= this.#previous.number)
      this.#tell(
        number,
        `comes after record ${this.#previous.number}: records were moved or doubled`,
      )
    if (this.#sha256(auditText(record, this.#previous.hash)) !== hash) {
      this.#tell(
        number,
        'does not follow from the record before it: it was edited, or one was removed, added or moved just before it',
      )
    }
    const checkpoint = this.#expected.get(number)
    if (checkpoint !== undefined) {
      this.#expected.delete(number)
      if (checkpoint.hash !== hash)
        this.#tell(number, 'is not what the checkpoint signed: the trail was written anew')
    }
    this.#previous = { number, hash }
    this.#count += 1
  }

  /** After the last record. */
  verdict(): {
    readonly count: number
    readonly last: number
    readonly faults: readonly AuditFault[]
  } {
    const faults = [...this.#faults]
    for (const { number } of this.#expected.values()) {
      const last = this.#previous.number
      const fault =
        number > last
          ? `a checkpoint signed this record, and the trail ends at ${last}: its end was cut off`
          : 'a checkpoint signed this record, and it is missing'
      if (faults.length < FAULTS_MAX) faults.push({ number, fault })
    }
    return { count: this.#count, last: this.#previous.number, faults }
  }

  #tell(number: number, fault: string): void {
    if (this.#faults.length < FAULTS_MAX) this.#faults.push({ number, fault })
  }
}
