/**
 * A host replaces its key. Old and new key both sign the same words, so neither a stolen token nor a key that
 * nobody holds is enough. One row changes: before, the old key counts, after, the new one, and the host, which keeps
 * both until it heard, finds out by trying.
 */
import { rotationText, type RotateKeyRequest } from '@lvs-fleet/contract'
import { ApiError } from '../errors.ts'
import { isSignedBy, thumbprintOf } from '../identity/public-key.ts'
import { insertAuditEvent } from '../store/audit-store.ts'
import { notifyChange } from '../store/controller-store.ts'
import {
  findIdentityByThumbprint,
  lockIdentity,
  replaceKey,
  type Identity,
} from '../store/host-store.ts'
import type { Deps } from './deps.ts'

export async function rotateHostKey(
  deps: Deps,
  caller: Identity,
  request: RotateKeyRequest,
): Promise<void> {
  const at = deps.now()
  const thumbprint = thumbprintOf(request.publicKey)
  await deps.database.db.transaction(async (tx) => {
    const identity = await lockIdentity(tx, caller.id)
    if (identity?.state !== 'active') throw new ApiError('unauthenticated', 'it was revoked')
    // Asked again after a lost answer.
    if (identity.thumbprint === thumbprint) return
    const text = rotationText(identity.objectId, identity.thumbprint, thumbprint)
    const isProven =
      isSignedBy(identity.publicKey, text, request.oldProof) &&
      isSignedBy(request.publicKey, text, request.newProof)
    if (!isProven)
      throw new ApiError('invalid-assertion', 'old and new key must both sign the change')
    if ((await findIdentityByThumbprint(tx, thumbprint)) !== undefined)
      throw new ApiError('already-enrolled', 'the new key is or was the key of a host')
    await replaceKey(tx, identity.id, { publicKey: request.publicKey, thumbprint, at })
    await insertAuditEvent(tx, {
      at,
      actor: `${identity.role}/${identity.name}`,
      action: 'host.rotate-key',
      subject: `${identity.role}/${identity.name}`,
      revision: null,
      detail: { before: identity.thumbprint, after: thumbprint },
    })
    await notifyChange(tx)
  })
  // Tokens go on: they are of the host, not of the key. What is remembered of it is read anew.
  deps.sessions.clear()
}
