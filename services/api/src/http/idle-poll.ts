/**
 * The call that agents make most, answered before everything else: "is there anything newer?", no. Only that
 * answer is given here, to a token that is known in memory; whatever else is asked takes the ordinary way,
 * whose answer to the same question is the same, but for what it says of the rate: this costs too little to be counted.
 */
import { POLL_SECONDS_HEADER } from '@lvs-fleet/contract'
import type { MiddlewareHandler } from 'hono'
import { hostKey } from '../compile/compile.ts'
import { sha256Hex } from '../identity/secret.ts'
import type { Deps } from '../verbs/deps.ts'
import type { AppEnv } from './app-env.ts'
import { bearer } from './auth.ts'
import { requestIdOf, SAFE_HEADERS } from './safe-headers.ts'

/** Nothing to wait for and no parameter that could be wrong. */
const PLAIN_QUERY = /^[^?]*(\?have=\d{1,9}\.\d{1,9})?$/

export function idlePoll(deps: Deps): MiddlewareHandler<AppEnv> {
  return (c, next) => {
    const held = c.req.header('if-none-match')
    if (held === undefined || c.req.method !== 'GET' || !PLAIN_QUERY.test(c.req.url)) return next()
    const token = bearer(c)
    if (token === undefined) return next()
    const session = deps.sessions.find(sha256Hex(token), deps.now())
    if (session === undefined || session === 'unknown') return next()
    const { role, name } = session.identity
    if (deps.live.etag(hostKey(role, name)) !== held) return next()
    deps.counts.countIdlePoll()
    // A plain record of headers is what the server writes quickest.
    const headers = {
      ...SAFE_HEADERS,
      'x-request-id': requestIdOf(c.req.header('x-request-id')),
      [POLL_SECONDS_HEADER]: String(deps.pollSeconds),
      etag: held,
    }
    return Promise.resolve(new Response(null, { status: 304, headers }))
  }
}
