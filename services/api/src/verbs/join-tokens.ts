/** Join tokens: make one (its secret is told once), list them, revoke one. */
import type { Role } from '@lvs-fleet/contract'
import { ApiError } from '../errors.ts'
import { makeSecret } from '../identity/secret.ts'
import { insertAuditEvent } from '../store/audit-store.ts'
import type { Queryable } from '../store/database.ts'
import {
  findJoinToken,
  insertJoinToken,
  revokeJoinToken,
  type JoinToken,
} from '../store/token-store.ts'
import type { Deps } from './deps.ts'
import { objectKey } from './live-fleet.ts'

export type NewJoinToken = {
  readonly role: Role
  readonly site: string
  readonly name: string | null
  readonly labels: Readonly<Record<string, string>>
  readonly approval: 'auto' | 'manual'
  readonly replaces: boolean
  readonly ttlSeconds: number
  readonly maxUses: number
}

export async function createJoinToken(
  deps: Deps,
  actor: string,
  wanted: NewJoinToken,
): Promise<{ token: JoinToken; secret: string }> {
  if (!deps.live.snapshot.objects.has(objectKey('site', wanted.site))) {
    throw new ApiError('invalid-body', `there is no site named ${wanted.site}`, {
      errors: [
        {
          pointer: '/site',
          code: 'unknown-name',
          message: `there is no site named ${wanted.site}`,
        },
      ],
    })
  }
  return deps.database.db.transaction((tx) => writeJoinToken(tx, { actor, at: deps.now(), wanted }))
}

export async function writeJoinToken(
  tx: Queryable,
  made: { readonly actor: string; readonly at: Date; readonly wanted: NewJoinToken },
): Promise<{ token: JoinToken; secret: string }> {
  const { id, text, sha256 } = makeSecret('lvsj')
  const { actor, at: createdAt, wanted } = made
  const { role, site, name, labels, approval, replaces, maxUses, ttlSeconds } = wanted
  const expiresAt = new Date(createdAt.getTime() + ttlSeconds * 1_000)
  const token = {
    id,
    sha256,
    role,
    site,
    name,
    labels,
    approval,
    replaces,
    maxUses,
    uses: 0,
    createdBy: actor,
    createdAt,
    expiresAt,
    revokedAt: null,
  }
  await insertJoinToken(tx, token)
  await insertAuditEvent(tx, {
    at: createdAt,
    actor,
    action: 'join-token.create',
    subject: `join-token/${id}`,
    revision: null,
    detail: { role, site, name, approval, replaces, maxUses, expiresAt: expiresAt.toISOString() },
  })
  return { token, secret: text }
}

export async function endJoinToken(deps: Deps, actor: string, id: string): Promise<JoinToken> {
  const at = deps.now()
  return deps.database.db.transaction(async (tx) => {
    if (!(await revokeJoinToken(tx, id, at)))
      throw new ApiError('not-found', `there is no join token ${id}`)
    await insertAuditEvent(tx, {
      at,
      actor,
      action: 'join-token.revoke',
      subject: `join-token/${id}`,
      revision: null,
      detail: {},
    })
    const token = await findJoinToken(tx, id)
    if (token === undefined) throw new Error(`join token ${id} vanished in its own transaction`)
    return token
  })
}
