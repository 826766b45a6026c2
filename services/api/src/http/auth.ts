/**
 * Who asks: agents by access token, from memory; operators by API key or OIDC token. Sets `identity` or `operator`.
 * What an operator may call is in `permissions.ts`.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { ApiError } from '../errors.ts'
import { looksLikeJwt } from '../identity/oidc.ts'
import { isAccessToken, sha256Hex } from '../identity/secret.ts'
import { findIdentityByToken, type Identity } from '../store/host-store.ts'
import { findOperator, type Operator } from '../verbs/api-keys.ts'
import type { Deps } from '../verbs/deps.ts'
import type { AppEnv } from './app-env.ts'

export function operatorAuth(deps: Deps): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const credential = bearer(c) ?? ''
    const operator = looksLikeJwt(credential)
      ? await findPerson(deps, credential)
      : await findOperator(deps, credential)
    if (operator === undefined) {
      throw new ApiError(
        'unauthenticated',
        'send Authorization: Bearer with an API key (lvsk_...) that is not expired or revoked, or a token of an OIDC issuer',
      )
    }
    c.set('operator', operator)
    await next()
  }
}

async function findPerson(deps: Deps, token: string): Promise<Operator> {
  const result = await deps.oidc.verify(token)
  if (!result.ok) throw new ApiError('unauthenticated', `the token is refused: ${result.why}`)
  const { subject, grant } = result
  if (grant === undefined)
    throw new ApiError('forbidden', `no rule of the OIDC settings gives ${subject} a role`)
  return { actor: subject, identity: subject, grant, keyExpiresAt: null }
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
  const match = /^Bearer ([\x21-\x7e]{1,8192})$/i.exec(c.req.header('authorization') ?? '')
  return match?.[1]
}
