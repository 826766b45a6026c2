/** Deps: what verbs and routes are given. Built once in `assemble.ts` or `assemble-lambda.ts`; tests build it with their own clock. */
import type { OidcVerifier } from '../identity/oidc.ts'
import type { Sessions } from '../identity/sessions.ts'
import type { SecretStore } from '../secrets/secret.ts'
import type { AskSts } from '../aws/ask-sts.ts'
import type { ControllerKeys } from './controller-keys.ts'
import type { Database } from '../store/database.ts'
import type { TargetRules } from '../webhooks/target.ts'
import type { Counts } from './counts.ts'
import type { EventFeed } from './event-feed.ts'
import type { LiveFleet } from './live-fleet.ts'
import type { RefusalLog } from './refusal-log.ts'

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
  readonly oidc: OidcVerifier
  readonly refusals: RefusalLog
  readonly controllerKeys: ControllerKeys
  readonly askSts: AskSts
  /** Where join tokens for instances are kept; undefined = nowhere. */
  readonly joinTokens: SecretStore | undefined
  /** Audience of assertions. */
  readonly name: string
  readonly pollSeconds: number
  /** Of one identity, in the long run; ten times as many at once. */
  readonly requestsPerSecond: number
  /** Life of what an assertion buys. */
  readonly accessTokenSeconds: number
  /** Whether a poll may wait for news; where each moment of waiting is paid for it may not. */
  readonly holdsPolls: boolean
  readonly now: () => Date
  readonly log: Log
}
