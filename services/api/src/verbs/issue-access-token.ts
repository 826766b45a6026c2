/** A host's signed assertion buys an opaque access token for some minutes. Each assertion works once. */
import type { TokenAnswer } from '@lvs-fleet/contract'
import { ApiError } from '../errors.ts'
import { assertionKeyId, verifyAssertion } from '../identity/assertion.ts'
import { makeAccessToken } from '../identity/secret.ts'
import { judgeChain } from '../identity/judge-chain.ts'
import { insertAuditEvent } from '../store/audit-store.ts'
import { notifyChange } from '../store/controller-store.ts'
import type { Tx } from '../store/database.ts'
import {
  findIdentityByThumbprint,
  insertAccessToken,
  lockIdentity,
  quarantineIdentity,
  useAssertionId,
  writeLink,
  type Identity,
} from '../store/host-store.ts'
import type { Deps } from './deps.ts'

export async function issueAccessToken(deps: Deps, text: string): Promise<TokenAnswer> {
  const keyId = assertionKeyId(text)
  if (keyId === undefined)
    throw refused('it must be an EdDSA JWT whose kid is the thumbprint of the enrolled key')
  const identity = await findIdentityByThumbprint(deps.database.db, keyId)
  // One answer for unknown and revoked keys: who asks without a key learns nothing.
  if (identity === undefined || identity.state === 'revoked')
    throw refused('its key is not enrolled or was revoked')
  const now = deps.now()
  const result = await verifyAssertion(text, identity.publicKey, { audience: deps.name, now })
  if (!result.ok) throw refused(result.why)
  const { assertion } = result
  if (assertion.subject !== identity.objectId && assertion.subject !== identity.thumbprint) {
    throw refused('iss and sub must be the host id of the enrolment')
  }
  const token = makeAccessToken()
  const expiresAt = new Date(now.getTime() + deps.accessTokenSeconds * 1_000)
  const held = await deps.database.db.transaction(async (tx) => {
    const isFirst = await useAssertionId(tx, `${keyId}:${assertion.jti}`, assertion.expiresAt)
    if (!isFirst) throw refused('it was used before')
    const current = await lockIdentity(tx, identity.id)
    if (current?.thumbprint !== keyId || current.state === 'revoked')
      throw refused('its key is not enrolled or was revoked')
    if (current.state === 'quarantined') return current.quarantine
    const verdict = judgeChain(current.link, assertion.chain)
    if (verdict.is === 'missing') throw refused('it lacks the chain that this host began')
    if (verdict.is === 'late') throw refused('another process of this host was quicker')
    if (verdict.is === 'stale') return quarantine(tx, deps, current)
    if (verdict.held !== null) await writeLink(tx, identity.id, verdict.held)
    await insertAccessToken(tx, { sha256: token.sha256, hostId: identity.id, expiresAt })
    return null
  })
  if (held !== null) {
    deps.sessions.clear()
    throw new ApiError(
      'quarantined',
      `${identity.role} ${identity.name} is quarantined: ${held}; it goes on forwarding what it has, and an operator can release it`,
    )
  }
  deps.sessions.add(token.sha256, { identity, expiresAt })
  const lists = deps.controllerKeys.signedLists
  return {
    access_token: token.text,
    token_type: 'Bearer',
    expires_in: deps.accessTokenSeconds,
    ...(lists.length === 0 ? {} : { key_lists: lists }),
  }
}

/** Both holders of the key are held off: nobody here can tell the copy from the original. */
async function quarantine(tx: Tx, deps: Deps, identity: Identity): Promise<string> {
  const why = 'two hosts use its key, or its disk went back in time'
  const at = deps.now()
  await quarantineIdentity(tx, identity.id, why, at)
  await insertAuditEvent(tx, {
    at,
    actor: 'controller',
    action: 'host.quarantine',
    subject: `${identity.role}/${identity.name}`,
    revision: null,
    detail: { thumbprint: identity.thumbprint, why },
  })
  await notifyChange(tx)
  deps.log.warn({ host: `${identity.role}/${identity.name}`, why }, 'a host is quarantined')
  return why
}

function refused(why: string): ApiError {
  return new ApiError('invalid-assertion', `the client assertion is refused: ${why}`)
}
