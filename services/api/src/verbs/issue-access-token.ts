/** A host's signed assertion buys an opaque access token for a quarter of an hour. Each assertion works once. */
import type { TokenAnswer } from '@lvs-fleet/contract'
import { ApiError } from '../errors.ts'
import { assertionKeyId, verifyAssertion } from '../identity/assertion.ts'
import { makeAccessToken } from '../identity/secret.ts'
import { findIdentityByThumbprint, insertAccessToken, useAssertionId } from '../store/host-store.ts'
import type { Deps } from './deps.ts'

export const ACCESS_TOKEN_SECONDS = 900

export async function issueAccessToken(deps: Deps, text: string): Promise<TokenAnswer> {
  const keyId = assertionKeyId(text)
  if (keyId === undefined)
    throw refused('it must be an EdDSA JWT whose kid is the thumbprint of the enrolled key')
  const identity = await findIdentityByThumbprint(deps.database.db, keyId)
  // One answer for unknown and revoked keys: who asks without a key learns nothing.
  if (identity === undefined || identity.state !== 'active')
    throw refused('its key is not enrolled or was revoked')
  const now = deps.now()
  const result = await verifyAssertion(text, identity.publicKey, { audience: deps.name, now })
  if (!result.ok) throw refused(result.why)
  const { jti, subject, expiresAt: assertionEnd } = result.assertion
  if (subject !== identity.objectId && subject !== identity.thumbprint) {
    throw refused('iss and sub must be the host id of the enrolment')
  }
  const token = makeAccessToken()
  const expiresAt = new Date(now.getTime() + ACCESS_TOKEN_SECONDS * 1_000)
  await deps.database.db.transaction(async (tx) => {
    const isFirst = await useAssertionId(tx, `${keyId}:${jti}`, assertionEnd)
    if (!isFirst) throw refused('it was used before')
    await insertAccessToken(tx, { sha256: token.sha256, hostId: identity.id, expiresAt })
  })
  deps.sessions.add(token.sha256, { identity, expiresAt })
  return { access_token: token.text, token_type: 'Bearer', expires_in: ACCESS_TOKEN_SECONDS }
}

function refused(why: string): ApiError {
  return new ApiError('invalid-assertion', `the client assertion is refused: ${why}`)
}
