/** API keys of operators: make one (its secret is told once), revoke one, and find out who asks. */
import { ApiError } from '../errors.ts'
import { makeSecret, matchesSecret, secretId } from '../identity/secret.ts'
import { insertAuditEvent, lockPublish } from '../store/controller-store.ts'
import type { Queryable } from '../store/database.ts'
import {
  countUsableAdminKeys,
  findApiKey,
  insertApiKey,
  revokeApiKey,
  touchApiKey,
  type ApiKey,
  type ApiKeyRole,
} from '../store/token-store.ts'
import type { Deps } from './deps.ts'

export type NewApiKey = {
  readonly name: string
  readonly role: ApiKeyRole
  readonly ttlSeconds: number | null
}

/** Who an operator's request comes from; `actor` is what revisions and the audit trail say. */
export type Operator = { readonly actor: string; readonly role: ApiKeyRole }

export function createApiKey(
  deps: Deps,
  actor: string,
  wanted: NewApiKey,
): Promise<{ key: ApiKey; secret: string }> {
  return deps.database.db.transaction((tx) => writeApiKey(tx, { actor, at: deps.now() }, wanted))
}

export async function writeApiKey(
  tx: Queryable,
  made: { readonly actor: string; readonly at: Date },
  wanted: NewApiKey,
): Promise<{ key: ApiKey; secret: string }> {
  const { id, text, sha256 } = makeSecret('lvsk')
  const { actor, at: createdAt } = made
  const expiresAt =
    wanted.ttlSeconds === null ? null : new Date(createdAt.getTime() + wanted.ttlSeconds * 1_000)
  const { name, role } = wanted
  const key: ApiKey = {
    id,
    name,
    sha256,
    role,
    createdAt,
    expiresAt,
    revokedAt: null,
    lastUsedAt: null,
  }
  await insertApiKey(tx, key)
  await insertAuditEvent(tx, {
    at: createdAt,
    actor,
    action: 'api-key.create',
    subject: `api-key/${id}`,
    revision: null,
    detail: { name, role, expiresAt: expiresAt?.toISOString() ?? null },
  })
  return { key, secret: text }
}

export async function endApiKey(deps: Deps, actor: string, id: string): Promise<ApiKey> {
  const at = deps.now()
  return deps.database.db.transaction(async (tx) => {
    // One at a time: two administrators must not revoke each other's last key at once.
    await lockPublish(tx)
    if (!(await revokeApiKey(tx, id, at)))
      throw new ApiError('not-found', `there is no API key ${id}`)
    if ((await countUsableAdminKeys(tx, at)) === 0) {
      throw new ApiError('conflict', 'it is the last admin key: make another one first')
    }
    await insertAuditEvent(tx, {
      at,
      actor,
      action: 'api-key.revoke',
      subject: `api-key/${id}`,
      revision: null,
      detail: {},
    })
    const key = await findApiKey(tx, id)
    if (key === undefined) throw new Error(`API key ${id} vanished in its own transaction`)
    return key
  })
}

/** The operator behind an `lvsk_` secret; undefined when it is unknown, revoked or expired. */
export async function findOperator(deps: Deps, secret: string): Promise<Operator | undefined> {
  const id = secretId('lvsk', secret)
  if (id === undefined) return undefined
  const key = await findApiKey(deps.database.db, id)
  if (key === undefined || !matchesSecret(secret, key.sha256)) return undefined
  const now = deps.now()
  if (key.revokedAt !== null || (key.expiresAt !== null && key.expiresAt <= now)) return undefined
  if (key.lastUsedAt === null || now.getTime() - key.lastUsedAt.getTime() > 60_000) {
    await touchApiKey(deps.database.db, id, now)
  }
  return { actor: `api-key/${key.name}`, role: key.role }
}
