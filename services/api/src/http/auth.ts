/** Who asks: agents by access token, from memory; operators by API key. Sets `identity` or `operator`. */
import type { Context, MiddlewareHandler } from 'hono'
import { ApiError } from '../errors.ts'
import { isAccessToken, sha256Hex } from '../identity/secret.ts'
import { findIdentityByToken, type Identity } from '../store/host-store.ts'
import type { ApiKeyRole } from '../store/token-store.ts'
import { findOperator } from '../verbs/api-keys.ts'
import type { Deps } from '../verbs/deps.ts'
import type { AppEnv } from './app-env.ts'

const RANK: Readonly<Record<ApiKeyRole, number>> = { viewer: 0, operator: 1, admin: 2 }

/** `viewer` reads, `operator` changes intent and lets hosts in, `admin` also deals with API keys and epochs. */
function requiredRole(method: string, path: string): ApiKeyRole {
  if (path === '/v1/api-keys' || path.startsWith('/v1/api-keys/')) return 'admin'
  if (path === '/v1/controller/new-epoch') return 'admin'
  if (path.startsWith('/v1/controller/keys/')) return 'admin'
  return method === 'GET' || method === 'HEAD' ? 'viewer' : 'operator'
}

export function operatorAuth(deps: Deps): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const operator = await findOperator(deps, bearer(c) ?? '')
    if (operator === undefined) {
      throw new ApiError(
        'unauthenticated',
        'send Authorization: Bearer with an API key (lvsk_...) that is not expired or revoked',
      )
    }
    const needed = requiredRole(c.req.method, c.req.path)
    if (RANK[operator.role] < RANK[needed]) {
      throw new ApiError('forbidden', `this needs the role ${needed}; the key has ${operator.role}`)
    }
    c.set('operator', operator)
    await next()
  }
}

export function agentAuth(deps: Deps): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const token = bearer(c)
    const identity =
      token !== undefined && isAccessToken(token) ? await findHost(deps, token) : undefined
    if (identity === undefined) {
      throw new ApiError(
        'unauthenticated',
        'the access token is unknown, expired or revoked; get another one at /v1/agent/token',
      )
    }
    c.set('identity', identity)
    await next()
  }
}

async function findHost(deps: Deps, token: string): Promise<Identity | undefined> {
  const now = deps.now()
  const sha256 = sha256Hex(token)
  const session = deps.sessions.find(sha256, now)
  if (session === 'unknown') return undefined
  if (session !== undefined) return session.identity
  const found = await findIdentityByToken(deps.database.db, sha256)
  if (found === undefined || found.expiresAt <= now) {
    deps.sessions.addUnknown(sha256, now)
    return undefined
  }
  deps.sessions.add(sha256, found)
  return found.identity
}

/** The credential of a request; undefined when there is none that could be one. */
export function bearer(c: Context<AppEnv>): string | undefined {
  const match = /^Bearer ([\x21-\x7e]{1,256})$/i.exec(c.req.header('authorization') ?? '')
  return match?.[1]
}
