/** What middleware hands to handlers. */
import type { Context } from 'hono'
import { scopeOf, type Scope } from '../access/grant.ts'
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

/** Who changes intent, and where they may. */
export function authorOf(c: Context<AppEnv>): {
  readonly actor: string
  readonly scope: Scope | null
} {
  const { actor, grant } = c.get('operator')
  return { actor, scope: scopeOf(grant) }
}
