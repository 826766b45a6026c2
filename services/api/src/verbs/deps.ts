/** Deps: what verbs and routes are given. Built once in `open-api.ts`; tests build it with their own clock. */
import type { Sessions } from '../identity/sessions.ts'
import type { Signer } from '../identity/signing-key.ts'
import type { Database } from '../store/database.ts'
import type { TargetRules } from '../webhooks/target.ts'
import type { Counts } from './counts.ts'
import type { EventFeed } from './event-feed.ts'
import type { LiveFleet } from './live-fleet.ts'

export type Log = {
  readonly info: (fields: object, message: string) => void
  readonly warn: (fields: object, message: string) => void
  readonly error: (fields: object, message: string) => void
}

export type Deps = {
  readonly database: Database
  readonly live: LiveFleet
  readonly events: EventFeed
  readonly counts: Counts
  readonly webhookRules: TargetRules
  readonly sessions: Sessions
  readonly signer: Signer
  /** Audience of assertions. */
  readonly name: string
  readonly pollSeconds: number
  readonly now: () => Date
  readonly log: Log
}
