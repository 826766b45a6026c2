/** Releases a host from quarantine: whoever holds its key and comes first goes on; a copy that still runs is caught anew. */
import type { Role } from '@lvs-fleet/contract'
import { ApiError } from '../errors.ts'
import { insertAuditEvent } from '../store/audit-store.ts'
import { notifyChange } from '../store/controller-store.ts'
import { findStandingIdentity, releaseIdentity } from '../store/host-store.ts'
import type { Deps } from './deps.ts'

export async function releaseHost(
  deps: Deps,
  actor: string,
  host: { readonly role: Role; readonly name: string },
): Promise<void> {
  await deps.database.db.transaction(async (tx) => {
    const identity = await findStandingIdentity(tx, host)
    if (identity === undefined || !(await releaseIdentity(tx, identity.id)))
      throw new ApiError('not-found', `${host.role} ${host.name} is not quarantined`)
    await insertAuditEvent(tx, {
      at: deps.now(),
      actor,
      action: 'host.release',
      subject: `${host.role}/${host.name}`,
      revision: null,
      detail: { thumbprint: identity.thumbprint },
    })
    await notifyChange(tx)
  })
}
