/** Revokes a host's identity: its next call is refused, it keeps forwarding, and its name may be enrolled anew. */
import type { Role } from '@lvs-fleet/contract'
import { ApiError } from '../errors.ts'
import { insertAuditEvent } from '../store/audit-store.ts'
import { notifyChange } from '../store/controller-store.ts'
import { revokeIdentity } from '../store/host-store.ts'
import type { Deps } from './deps.ts'

export async function revokeHost(
  deps: Deps,
  actor: string,
  host: { readonly role: Role; readonly name: string },
): Promise<void> {
  const at = deps.now()
  await deps.database.db.transaction(async (tx) => {
    const identity = await revokeIdentity(tx, host, at)
    if (identity === undefined)
      throw new ApiError('not-found', `${host.role} ${host.name} is not enrolled`)
    await insertAuditEvent(tx, {
      at,
      actor,
      action: 'host.revoke',
      subject: `${host.role}/${host.name}`,
      revision: null,
      detail: { thumbprint: identity.thumbprint },
    })
    await notifyChange(tx)
  })
  deps.sessions.clear()
}
