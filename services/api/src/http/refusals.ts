/**
 * Puts refusals into the audit trail: every 401, 403 and 429, and every other 4xx of a call that would have changed
 * something. What was merely not found when it was read is none.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { ApiError } from '../errors.ts'
import type { Deps } from '../verbs/deps.ts'
import type { AppEnv } from './app-env.ts'

const ALWAYS = new Set([401, 403, 429])

export function recordRefusals(deps: Deps): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    await next()
    const { status } = c.res
    if (status < 400 || status > 499) return
    const { method, path } = c.req
    if (!ALWAYS.has(status) && (method === 'GET' || method === 'HEAD')) return
    const { error } = c
    await deps.refusals.record({
      actor: actorOf(c),
      method,
      path,
      status,
      code: error instanceof ApiError ? error.code : 'refused',
      message: error instanceof ApiError ? error.message : '',
      requestId: c.get('requestId'),
      dryRun: c.req.query('dryRun') === 'true',
    })
  }
}

function actorOf(c: Context<AppEnv>): string | null {
  // Behind neither kind of authentication both are missing, whatever the type says.
  const { operator, identity }: Partial<AppEnv['Variables']> = c.var
  if (operator !== undefined) return operator.actor
  return identity === undefined ? null : `${identity.role}/${identity.name}`
}
