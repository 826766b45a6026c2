/** What middleware hands to handlers. */
import type { Identity } from '../store/host-store.ts'
import type { Operator } from '../verbs/api-keys.ts'

export type AppEnv = {
  Variables: {
    requestId: string
    /** Set behind operator authentication. */
    operator: Operator
    /** Set behind agent authentication. */
    identity: Identity
  }
}
