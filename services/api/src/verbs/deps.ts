/** Deps: what verbs and routes are given. Built once in `open-api.ts`; tests build it with their own clock. */
import type { Sessions } from '../identity/sessions.ts'
import type { SecretStore } from '../secrets/secret.ts'
import type { AskSts } from '../aws/ask-sts.ts'
import type { ControllerKeys } from './controller-keys.ts'
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
  readonly controllerKeys: ControllerKeys
  readonly askSts: AskSts
  /** Where join tokens for instances are kept; undefined = nowhere. */
  readonly joinTokens: SecretStore | undefined
  /** Audience of assertions. */
  readonly name: string
  readonly pollSeconds: number
  readonly now: () => Date
  readonly log: Log
}
