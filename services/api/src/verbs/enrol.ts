/**
 * Enrol: a host with a way in and a key of its own becomes the director or real server of that name. One transaction:
 * the token is spent, the identity is written, and the resource is created if it was not declared. Asking again with
 * the same key gives the same answer, so a lost answer costs no second token, and a host that waits may ask often.
 */
import { randomUUID } from 'node:crypto'
import type { EnrolAnswer, EnrolRequest } from '@lvs-fleet/contract'
import { ApiError } from '../errors.ts'
import { thumbprintOf } from '../identity/public-key.ts'
import { insertAuditEvent } from '../store/audit-store.ts'
import type { Queryable } from '../store/database.ts'
import {
  countPending,
  findPendingByThumbprint,
  insertPending,
  type Candidate,
} from '../store/enrolment-store.ts'
import { findIdentityByThumbprint, type Identity } from '../store/host-store.ts'
import { admit, isSameHost } from './admit.ts'
import type { Deps } from './deps.ts'
import { objectKey } from './live-fleet.ts'
import { findGrant, type Grant } from './ways-in.ts'

const PENDING_MAX = 1_000
const PENDING_MS = 24 * 3_600_000
const PENDING_RETRY_SECONDS = 15

export type EnrolOutcome =
  | { readonly is: 'enrolled'; readonly answer: EnrolAnswer }
  | { readonly is: 'pending'; readonly id: string; readonly retryAfterSeconds: number }

export async function enrol(deps: Deps, request: EnrolRequest): Promise<EnrolOutcome> {
  const { db } = deps.database
  const way = await findGrant(deps, request)
  const thumbprint = thumbprintOf(request.publicKey)
  const known = await findKnown(db, request, thumbprint)
  if (known !== undefined) return { is: 'enrolled', answer: answerFor(deps, known) }
  const waiting = await findPendingByThumbprint(db, thumbprint, deps.now())
  if (waiting?.state === 'waiting') return pending(waiting.id)
  if (waiting !== undefined)
    throw new ApiError('enrolment-refused', 'an operator refused to let this host in')
  const grant = await way()
  const candidate = candidateOf(request, grant, thumbprint)
  if (grant.approval === 'manual') return pending(await hold(deps, candidate, grant))
  const identity = await admit(deps, candidate, {
    actor: grant.by,
    alongside: (tx) => grant.spend(tx, deps.now()),
  })
  return { is: 'enrolled', answer: answerFor(deps, identity) }
}

/** The identity when this key is this host's already. */
async function findKnown(
  db: Queryable,
  request: EnrolRequest,
  thumbprint: string,
): Promise<Identity | undefined> {
  const identity = await findIdentityByThumbprint(db, thumbprint)
  if (identity === undefined) return undefined
  if (identity.state === 'revoked')
    throw new ApiError('already-enrolled', 'this key was revoked: make a new one on the host')
  if (isSameHost(identity, request)) return identity
  throw new ApiError('already-enrolled', `this key is ${identity.role} ${identity.name}`)
}

/** What it is to become: what the way in says goes before what the host says, and they may not differ. */
function candidateOf(request: EnrolRequest, grant: Grant, thumbprint: string): Candidate {
  const role = grant.role
  const name = grant.name ?? request.name
  const isOther =
    (request.role !== undefined && request.role !== role) ||
    (request.name !== undefined && request.name !== name)
  if (isOther) {
    throw new ApiError(
      'enrolment-mismatch',
      `the ${grant.what} is for ${role} ${grant.name ?? 'of any name'}, not for ${request.role ?? role} ${request.name ?? ''}`.trim(),
    )
  }
  if (name === undefined) {
    throw new ApiError('invalid-body', `the ${grant.what} says no name, so the host must`, {
      errors: [{ pointer: '/name', code: 'required', message: 'is missing' }],
    })
  }
  const { publicKey, addresses, machineId } = request
  const { site, labels, by, evidence, replaces } = grant
  return {
    role,
    name,
    site,
    labels: { ...labels },
    addresses,
    publicKey,
    thumbprint,
    machineId,
    by,
    evidence: { ...evidence },
    replaces,
  }
}

/** Keeps it for a person; the token is spent now, so that one token cannot fill the list. */
async function hold(deps: Deps, candidate: Candidate, grant: Grant): Promise<string> {
  const at = deps.now()
  const id = randomUUID()
  await deps.database.db.transaction(async (tx) => {
    if ((await countPending(tx)) >= PENDING_MAX)
      throw new ApiError('too-many-requests', `${PENDING_MAX} hosts wait for approval already`)
    await grant.spend(tx, at)
    const expiresAt = new Date(at.getTime() + PENDING_MS)
    await insertPending(tx, { id, state: 'waiting', candidate, createdAt: at, expiresAt })
    await insertAuditEvent(tx, {
      at,
      actor: candidate.by,
      action: 'host.enrol-pending',
      subject: `${candidate.role}/${candidate.name}`,
      revision: null,
      detail: { thumbprint: candidate.thumbprint, ...candidate.evidence },
    })
  })
  return id
}

function pending(id: string): EnrolOutcome {
  return { is: 'pending', id, retryAfterSeconds: PENDING_RETRY_SECONDS }
}

function answerFor(deps: Deps, identity: Identity): EnrolAnswer {
  const { role, name } = identity
  const object = deps.live.snapshot.objects.get(objectKey(role, name))
  if (object === undefined || !('addresses' in object.spec))
    throw new ApiError('not-found', `${role} ${name} is no longer declared`)
  return {
    hostId: object.id,
    name,
    role,
    site: object.spec.site,
    audience: deps.name,
    ...deps.controllerKeys.trusted(),
  }
}
