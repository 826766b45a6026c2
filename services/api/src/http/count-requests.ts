/** Counts each request by the pattern of its route, and how long its answer took to begin. */
import type { MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import type { Deps } from '../verbs/deps.ts'
import type { AppEnv } from './app-env.ts'

const METHODS = new Set(['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS'])

export function countRequests({ counts }: Pick<Deps, 'counts'>): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const began = performance.now()
    await next()
    const route = matchedRoutes(c).findLast(({ path }) => !path.endsWith('*'))?.path ?? 'none'
    // A caller can make up methods without end.
    const method = METHODS.has(c.req.method) ? c.req.method : 'other'
    const isHeld = route.endsWith('/stream') || Number(c.req.query('wait') ?? 0) > 0
    const seconds = isHeld ? undefined : (performance.now() - began) / 1_000
    counts.countRequest({ method, route, status: c.res.status }, seconds)
  }
}
