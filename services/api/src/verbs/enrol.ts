/**
 * Enrol: a host with a join token and a key of its own becomes the director or real server of that name.
 * One transaction: the token is spent, the identity is written, and the resource is created if it was not
 * declared. Asking again with the same key gives the same answer, so a lost answer costs no second token.
 */
import { randomUUID } from 'node:crypto'
import type { EnrolAnswer, EnrolRequest } from '@lvs-fleet/contract'
import { ApiError } from '../errors.ts'
import { withObject, type Fleet } from '../intent/fleet.ts'
import { SPEC_SCHEMAS } from '../intent/kinds.ts'
import { jsonPointer } from '../intent/problem.ts'
import { isEnrolProof, thumbprintOf } from '../identity/public-key.ts'
import { matchesSecret, secretId } from '../identity/secret.ts'
import { insertAuditEvent } from '../store/audit-store.ts'
import type { Queryable, Tx } from '../store/database.ts'
import {
  findActiveIdentity,
  findIdentityByThumbprint,
  insertIdentity,
} from '../store/host-store.ts'
import { findJoinToken, spendJoinToken, type JoinToken } from '../store/token-store.ts'
import type { Deps } from './deps.ts'
import { objectKey, type Snapshot } from './live-fleet.ts'
import { publish } from './publish.ts'

export async function enrol(deps: Deps, request: EnrolRequest): Promise<EnrolAnswer> {
  const token = await checkToken(deps, request)
  const thumbprint = thumbprintOf(request.publicKey)
  if (await isKnown(deps.database.db, request, thumbprint)) {
    return answer(deps, request, deps.live.snapshot)
  }
  if (token.role !== request.role || (token.name !== null && token.name !== request.name)) {
    throw new ApiError(
      'enrolment-mismatch',
      `the token is for ${token.role} ${token.name ?? 'of any name'}, not for ${request.role} ${request.name}`,
    )
  }
  const { snapshot } = await publish(deps, {
    actor: `join-token/${token.id}`,
    action: 'enrol',
    change: (held) => declared(held, request, token),
    alongside: (tx, next) => admit(deps, tx, { request, token, thumbprint, next }),
  })
  return answer(deps, request, snapshot)
}

async function checkToken(deps: Deps, request: EnrolRequest): Promise<JoinToken> {
  const refused = new ApiError(
    'invalid-token',
    'the join token is not valid: unknown, spent, expired or revoked',
  )
  const id = secretId('lvsj', request.token)
  if (id === undefined) throw refused
  if (!isEnrolProof(request.publicKey, request.token, request.proof)) {
    throw new ApiError(
      'invalid-assertion',
      'the proof is no signature of the public key over lvsfleet-enrol:<token>',
    )
  }
  const token = await findJoinToken(deps.database.db, id)
  if (token === undefined || !matchesSecret(request.token, token.sha256)) throw refused
  return token
}

/** True when this key is this host's already. */
async function isKnown(db: Queryable, request: EnrolRequest, thumbprint: string): Promise<boolean> {
  const identity = await findIdentityByThumbprint(db, thumbprint)
  if (identity === undefined) return false
  if (
    identity.state === 'active' &&
    identity.role === request.role &&
    identity.name === request.name
  )
    return true
  throw new ApiError(
    'already-enrolled',
    identity.state === 'active'
      ? `this key is ${identity.role} ${identity.name}`
      : 'this key was revoked: make a new one on the host',
  )
}

/** The fleet with the host in it. */
function declared(held: Snapshot, request: EnrolRequest, token: JoinToken): Fleet {
  const { role, name, addresses } = request
  const object = held.objects.get(objectKey(role, name))
  if (object !== undefined) {
    const site = 'site' in object.spec ? object.spec.site : undefined
    if (site === token.site) return held.fleet
    throw new ApiError(
      'enrolment-mismatch',
      `${role} ${name} is in site ${site ?? '?'}, the token is for site ${token.site}`,
    )
  }
  const parsed = SPEC_SCHEMAS[role].safeParse({ name, site: token.site, addresses })
  if (parsed.success) return withObject(held.fleet, role, parsed.data)
  throw new ApiError(
    'invalid-body',
    `${role} ${name} is not declared and cannot be created from this request`,
    {
      errors: parsed.error.issues.map((issue) => ({
        pointer: jsonPointer(
          issue.path.map((part) => (typeof part === 'number' ? part : String(part))),
        ),
        code: issue.code,
        message: issue.message,
      })),
    },
  )
}

async function admit(
  deps: Deps,
  tx: Tx,
  given: { request: EnrolRequest; token: JoinToken; thumbprint: string; next: Snapshot },
): Promise<void> {
  const { request, token, thumbprint, next } = given
  const { role, name } = request
  // Looked at again under the lock: the same host may have asked twice at once.
  if (await isKnown(tx, request, thumbprint)) return
  if ((await findActiveIdentity(tx, { role, name })) !== undefined) {
    throw new ApiError(
      'already-enrolled',
      `${role} ${name} is enrolled; revoke its identity first if the host was replaced`,
    )
  }
  const at = deps.now()
  if (!(await spendJoinToken(tx, token.id, at))) {
    throw new ApiError(
      'invalid-token',
      'the join token is not valid: unknown, spent, expired or revoked',
    )
  }
  const objectId = next.objects.get(objectKey(role, name))?.id
  if (objectId === undefined) throw new Error(`${role} ${name} is missing after its creation`)
  await insertIdentity(tx, {
    id: randomUUID(),
    role,
    name,
    site: token.site,
    objectId,
    publicKey: request.publicKey,
    thumbprint,
    state: 'active',
    machineId: request.machineId,
    enrolledAt: at,
    revokedAt: null,
  })
  await insertAuditEvent(tx, {
    at,
    actor: `join-token/${token.id}`,
    action: 'host.enrol',
    subject: `${role}/${name}`,
    revision: next.revision,
    detail: { thumbprint, machineId: request.machineId },
  })
}

function answer(deps: Deps, request: EnrolRequest, snapshot: Snapshot): EnrolAnswer {
  const { role, name } = request
  const object = snapshot.objects.get(objectKey(role, name))
  if (object === undefined || !('addresses' in object.spec)) {
    throw new ApiError('not-found', `${role} ${name} is no longer declared`)
  }
  return {
    hostId: object.id,
    name,
    role,
    site: object.spec.site,
    audience: deps.name,
    controllerKeys: [deps.signer.publicKey],
  }
}
