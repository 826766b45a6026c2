/**
 * API keys of operators: make one (its secret is told once), rotate one, revoke one, and find out who asks. Nobody makes,
 * sees, rotates or revokes a key that allows more than their own credential, or lives longer than the key they use.
 */
import { covers, type Grant } from '../access/grant.ts'
import { ApiError } from '../errors.ts'
import { makeSecret, matchesSecret, secretId } from '../identity/secret.ts'
import { insertAuditEvent } from '../store/audit-store.ts'
import { lockPublish } from '../store/controller-store.ts'
import type { Queryable, Tx } from '../store/database.ts'
import {
  countUsableAdminKeys,
  expireApiKey,
  findApiKey,
  insertApiKey,
  listApiKeys,
  revokeApiKey,
  touchApiKey,
  type ApiKey,
} from '../store/token-store.ts'
import type { Deps } from './deps.ts'

export type NewApiKey = Grant & {
  readonly name: string
  /** undefined = 90 days, or as long as the asker's own key; null = does not expire: only the first key. */
  readonly ttlSeconds: number | null | undefined
}

/** Who an operator's request comes from; `actor` is what revisions and the audit trail say. */
export type Operator = {
  readonly actor: string
  /** What rate limits count by: an API key by its id, a person by issuer and subject. */
  readonly identity: string
  readonly grant: Grant
  /** Of the API key that was used; what it makes does not outlive it. null = not bound so. */
  readonly keyExpiresAt: Date | null
}

export type KeyWithSecret = { readonly key: ApiKey; readonly secret: string }

const DEFAULT_TTL_SECONDS = 90 * 86_400

export async function createApiKey(
  deps: Deps,
  by: Operator,
  wanted: NewApiKey,
): Promise<KeyWithSecret> {
  if (!covers(by.grant, wanted))
    throw new ApiError('forbidden', 'a key may not allow more than the credential that makes it')
  const made = { actor: by.actor, at: deps.now(), notAfter: by.keyExpiresAt }
  return deps.database.db.transaction((tx) => writeApiKey(tx, made, wanted))
}

export async function writeApiKey(
  tx: Queryable,
  made: { readonly actor: string; readonly at: Date; readonly notAfter: Date | null },
  wanted: NewApiKey,
): Promise<KeyWithSecret> {
  const { id, text, sha256 } = makeSecret('lvsk')
  const { actor, at: createdAt } = made
  const { name, role, sites, labels } = wanted
  const key: ApiKey = {
    id,
    name,
    sha256,
    role,
    sites,
    labels,
    createdAt,
    expiresAt: expiryOf(made, wanted.ttlSeconds),
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
    detail: { name, role, sites, labels, expiresAt: key.expiresAt?.toISOString() ?? null },
  })
  return { key, secret: text }
}

/** Those that the asker could have made, newest first. */
export async function visibleApiKeys(deps: Deps, by: Operator, limit: number): Promise<ApiKey[]> {
  const keys = await listApiKeys(deps.database.db, limit)
  return keys.filter((key) => covers(by.grant, key))
}

/** A new secret for the same name and grant; the old one goes on for `graceSeconds`, so that it can be replaced in use. */
export async function rotateApiKey(
  deps: Deps,
  by: Operator,
  rotation: {
    readonly id: string
    readonly graceSeconds: number
    readonly ttlSeconds?: number | undefined
  },
): Promise<KeyWithSecret> {
  const { id, graceSeconds, ttlSeconds } = rotation
  const at = deps.now()
  return deps.database.db.transaction(async (tx) => {
    await lockPublish(tx)
    const old = await findOwn(tx, by, id)
    if (!isUsable(old, at))
      throw new ApiError('conflict', `API key ${id} is expired or revoked: make a new one`)
    const graceEnd = new Date(at.getTime() + graceSeconds * 1_000)
    const { actor } = by
    const made = await writeApiKey(
      tx,
      { actor, at, notAfter: by.keyExpiresAt },
      { name: old.name, role: old.role, sites: old.sites, labels: old.labels, ttlSeconds },
    )
    await expireApiKey(tx, id, graceEnd)
    await insertAuditEvent(tx, {
      at,
      actor,
      action: 'api-key.rotate',
      subject: `api-key/${id}`,
      revision: null,
      detail: { name: old.name, replacedBy: made.key.id, graceSeconds },
    })
    return made
  })
}

export async function endApiKey(deps: Deps, by: Operator, id: string): Promise<ApiKey> {
  const at = deps.now()
  return deps.database.db.transaction(async (tx) => {
    // One at a time: two administrators must not revoke each other's last key at once.
    await lockPublish(tx)
    await findOwn(tx, by, id)
    await revokeApiKey(tx, id, at)
    if ((await countUsableAdminKeys(tx, at)) === 0) {
      throw new ApiError('conflict', 'it is the last admin key: make another one first')
    }
    await insertAuditEvent(tx, {
      at,
      actor: by.actor,
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
  if (!isUsable(key, now)) return undefined
  if (key.lastUsedAt === null || now.getTime() - key.lastUsedAt.getTime() > 60_000) {
    await touchApiKey(deps.database.db, id, now)
  }
  const { role, sites, labels } = key
  return {
    actor: `api-key/${key.name}`,
    identity: `api-key/${id}`,
    grant: { role, sites, labels },
    keyExpiresAt: key.expiresAt,
  }
}

/** A key that the asker could not have made is told as one that is not there. */
async function findOwn(tx: Tx, by: Operator, id: string): Promise<ApiKey> {
  const key = await findApiKey(tx, id)
  if (key === undefined || !covers(by.grant, key))
    throw new ApiError('not-found', `there is no API key ${id}`)
  return key
}

function isUsable(key: ApiKey, now: Date): boolean {
  return key.revokedAt === null && (key.expiresAt === null || key.expiresAt > now)
}

function expiryOf(
  made: { readonly at: Date; readonly notAfter: Date | null },
  ttlSeconds: number | null | undefined,
): Date | null {
  const { at, notAfter } = made
  if (ttlSeconds === null) return notAfter
  const wanted = new Date(at.getTime() + (ttlSeconds ?? DEFAULT_TTL_SECONDS) * 1_000)
  if (notAfter === null || wanted <= notAfter) return wanted
  if (ttlSeconds === undefined) return notAfter
  throw new ApiError(
    'forbidden',
    `a key may not outlive the one that makes it, which ends ${notAfter.toISOString()}`,
  )
}
