/** A person lets a waiting host in, or refuses it. The host hears at its next try. */
import { ApiError } from '../errors.ts'
import { insertAuditEvent } from '../store/audit-store.ts'
import type { Tx } from '../store/database.ts'
import {
  deletePending,
  listPending,
  lockPending,
  markRefused,
  type PendingEnrolment,
} from '../store/enrolment-store.ts'
import type { Identity } from '../store/host-store.ts'
import { admit } from './admit.ts'
import type { Deps } from './deps.ts'

export async function approveEnrolment(deps: Deps, actor: string, id: string): Promise<Identity> {
  const waiting = (await listPending(deps.database.db, deps.now())).find((one) => one.id === id)
  if (waiting === undefined) throw notWaiting(id)
  return admit(deps, waiting.candidate, {
    actor,
    alongside: async (tx) => {
      await take(deps, tx, id)
      await deletePending(tx, id)
    },
  })
}

/** What is refused stays so until its day is over: the host is told, and its key stays out. */
export async function refuseEnrolment(deps: Deps, actor: string, id: string): Promise<void> {
  await deps.database.db.transaction(async (tx) => {
    const { candidate } = await take(deps, tx, id)
    await markRefused(tx, id)
    await insertAuditEvent(tx, {
      at: deps.now(),
      actor,
      action: 'host.enrol-refuse',
      subject: `${candidate.role}/${candidate.name}`,
      revision: null,
      detail: { thumbprint: candidate.thumbprint, ...candidate.evidence },
    })
  })
}

async function take(deps: Deps, tx: Tx, id: string): Promise<PendingEnrolment> {
  const pending = await lockPending(tx, id, deps.now())
  if (pending?.state !== 'waiting') throw notWaiting(id)
  return pending
}

function notWaiting(id: string): ApiError {
  return new ApiError('not-found', `no enrolment ${id} waits for a decision`)
}
