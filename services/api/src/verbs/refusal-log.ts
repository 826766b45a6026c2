/**
 * Refusals go into the audit trail as well. Who is refused all the time must not fill it: each identity, and all who have
 * none together, get so many records of their own; what is above is counted, and told in one record a minute.
 */
import { insertAuditLine } from '../store/audit-store.ts'
import type { Database } from '../store/database.ts'
import type { Log } from './deps.ts'
import { TokenBuckets } from './token-buckets.ts'

export type Refusal = {
  /** Who was refused; null = nobody that is known. */
  readonly actor: string | null
  readonly method: string
  readonly path: string
  readonly status: number
  readonly code: string
  readonly message: string
  readonly requestId: string
  readonly dryRun: boolean
}

const RECORDS = { perSecond: 0.2, burst: 30 }
const COUNTERS_MAX = 200
const NOBODY = 'nobody'

export class RefusalLog {
  readonly #database: Database
  readonly #now: () => Date
  readonly #log: Log
  readonly #buckets = new TokenBuckets(RECORDS)
  #counters = new Map<string, number>()

  constructor(database: Database, now: () => Date, log: Log) {
    this.#database = database
    this.#now = now
    this.#log = log
  }

  /** Resolves when the refusal is in the trail, or counted for later. Never fails: the answer is the same. */
  async record(refusal: Refusal): Promise<void> {
    const actor = refusal.actor ?? NOBODY
    const at = this.#now()
    if (!this.#buckets.take(actor, at.getTime()).ok) {
      this.#count(`${actor} ${refusal.status} ${refusal.code} ${refusal.method}`)
      return
    }
    const { method, path, status, code, message, requestId, dryRun } = refusal
    await this.#write(actor, 'refused', `${method} ${withoutSecrets(path)}`, {
      status,
      code,
      message: withoutSecrets(message),
      requestId,
      ...(dryRun ? { dryRun } : {}),
    })
  }

  /** Tells of those that were only counted. */
  async flush(): Promise<void> {
    const counters = this.#counters
    if (counters.size === 0) return
    this.#counters = new Map()
    const total = [...counters.values()].reduce((sum, n) => sum + n, 0)
    await this.#write('controller', 'refused.more', `${total} more refusals`, {
      counts: Object.fromEntries(counters),
    })
  }

  #count(what: string): void {
    const key = this.#counters.has(what) || this.#counters.size < COUNTERS_MAX ? what : 'others'
    this.#counters.set(key, (this.#counters.get(key) ?? 0) + 1)
  }

  async #write(
    actor: string,
    action: string,
    subject: string,
    detail: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const event = { at: this.#now(), actor, action, subject, revision: null, detail }
    try {
      await this.#database.db.transaction((tx) => insertAuditLine(tx, event))
    } catch (error) {
      this.#log.warn({ ...event, err: error }, 'a refusal is not in the audit trail')
    }
  }
}

/** Somebody may send a secret where a name belongs. NUL is what no text in the database may hold. */
function withoutSecrets(text: string): string {
  return text
    .replaceAll(/lvs[a-z]_[\w-]+/g, 'lvs?_...')
    .replaceAll(/eyJ[\w-]*\.[\w.-]*/g, 'eyJ...')
    .replaceAll(/[^\x20-\x7e]/g, '?')
    .slice(0, 500)
}
