/** A token bucket over all callers of one route, for calls that cost much and need no credential. */
import type { MiddlewareHandler } from 'hono'
import { ApiError } from '../errors.ts'
import type { AppEnv } from './app-env.ts'

export function rateLimit(
  limit: { readonly perSecond: number; readonly burst: number },
  now: () => Date,
): MiddlewareHandler<AppEnv> {
  let tokens = limit.burst
  let at = now().getTime()
  return async (_, next) => {
    const time = now().getTime()
    tokens = Math.min(limit.burst, tokens + (Math.max(0, time - at) / 1_000) * limit.perSecond)
    at = time
    if (tokens < 1) {
      throw new ApiError('too-many-requests', 'too many at once; try again', {
        headers: { 'retry-after': '1' },
      })
    }
    tokens -= 1
    await next()
  }
}
