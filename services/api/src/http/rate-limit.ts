/** Rate limits: over all callers of one route that needs no credential, and for each identity of those that do. */
import type { Context, MiddlewareHandler } from 'hono'
import { ApiError } from '../errors.ts'
import { TokenBuckets, type RateLimit, type Taken } from '../verbs/token-buckets.ts'
import type { AppEnv } from './app-env.ts'

export function rateLimit(limit: RateLimit, now: () => Date): MiddlewareHandler<AppEnv> {
  const buckets = new TokenBuckets(limit)
  return async (_, next) => {
    const taken = buckets.take('', now().getTime())
    if (!taken.ok) throw tooMany(taken)
    await next()
  }
}

/**
 * Behind authentication. The answer says what is left, as the draft of the IETF's httpapi group has it
 * (draft-ietf-httpapi-ratelimit-headers): q requests in w seconds, r left, t seconds until there is one more.
 */
export function identityRateLimit(limit: RateLimit, now: () => Date): MiddlewareHandler<AppEnv> {
  const buckets = new TokenBuckets(limit)
  const policy = `"identity";q=${limit.burst};w=${Math.ceil(limit.burst / limit.perSecond)}`
  return async (c, next) => {
    const taken = buckets.take(identityOf(c), now().getTime())
    c.header('ratelimit-policy', policy)
    c.header('ratelimit', `"identity";r=${taken.remaining};t=${Math.ceil(taken.waitMs / 1_000)}`)
    if (!taken.ok) throw tooMany(taken)
    await next()
  }
}

function tooMany({ waitMs }: Taken): ApiError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000))
  return new ApiError('too-many-requests', `too many at once; try again in ${seconds} s`, {
    headers: { 'retry-after': String(seconds) },
  })
}

function identityOf(c: Context<AppEnv>): string {
  const { operator, identity }: Partial<AppEnv['Variables']> = c.var
  return operator?.identity ?? `host/${identity?.id ?? ''}`
}
