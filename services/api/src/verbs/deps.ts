/** Deps: what verbs and routes are given. Built once in `assemble.ts` or `assemble-lambda.ts`; tests build it with their own clock. */
import type { Sessions } from '../identity/sessions.ts'
import type { Signer } from '../identity/signing-key.ts'
import type { Database } from '../store/database.ts'
import type { LiveFleet } from './live-fleet.ts'

export type Log = {
  readonly info: (fields: object, message: string) => void
  readonly warn: (fields: object, message: string) => void
  readonly error: (fields: object, message: string) => void
}

export type Deps = {
  readonly database: Database
  readonly live: LiveFleet
  readonly sessions: Sessions
  readonly signer: Signer
  /** Audience of assertions. */
  readonly name: string
  readonly pollSeconds: number
  /** Whether a poll may wait for news; where each moment of waiting is paid for it may not. */
  readonly holdsPolls: boolean
  readonly now: () => Date
  readonly log: Log
}
