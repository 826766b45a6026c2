/**
 * Admit: the step that makes a candidate a host of the fleet, after its way in was found good or a person said yes.
 * The object is created where it was not declared, with site and labels, so that virtual services which select it
 * are in its first state.
 */
import { randomUUID } from 'node:crypto'
import type { Role } from '@lvs-fleet/contract'
import { ApiError } from '../errors.ts'
import { withObject, type Fleet } from '../intent/fleet.ts'
import { SPEC_SCHEMAS } from '../intent/kinds.ts'
import { insertAuditEvent } from '../store/audit-store.ts'
import { notifyChange } from '../store/controller-store.ts'
import type { Tx } from '../store/database.ts'
import type { Candidate } from '../store/enrolment-store.ts'
import {
  findIdentityByThumbprint,
  findStandingIdentity,
  insertIdentity,
  revokeIdentity,
  type Identity,
} from '../store/host-store.ts'
import type { Deps } from './deps.ts'
import { objectKey, type Snapshot } from './live-fleet.ts'
import { publish } from './publish.ts'
import { zodDetails } from './refusals.ts'

export async function admit(
  deps: Deps,
  candidate: Candidate,
  options: { readonly actor: string; readonly alongside: (tx: Tx) => Promise<void> },
): Promise<Identity> {
  let identity: Identity | undefined
  await publish(deps, {
    actor: options.actor,
    action: 'enrol',
    change: (held) => declared(held, candidate),
    alongside: async (tx, next) => {
      identity = await writeIdentity(deps, tx, { candidate, options, next })
    },
  })
  if (identity === undefined) throw new Error('the transaction ended without an identity')
  if (candidate.replaces) deps.sessions.clear()
  return identity
}

/** What the host does not say it does not contradict. */
export function isSameHost(
  identity: Identity,
  said: { readonly role?: Role | undefined; readonly name?: string | undefined },
): boolean {
  return (
    (said.role === undefined || said.role === identity.role) &&
    (said.name === undefined || said.name === identity.name)
  )
}

/** The fleet with the host in it. Where it is declared, what is declared stands: labels too. */
function declared(held: Snapshot, candidate: Candidate): Fleet {
  const { role, name, site, labels, addresses, by } = candidate
  const object = held.objects.get(objectKey(role, name))
  if (object !== undefined) {
    const declaredSite = 'site' in object.spec ? object.spec.site : undefined
    if (declaredSite === site) return held.fleet
    throw new ApiError(
      'enrolment-mismatch',
      `${role} ${name} is in site ${declaredSite ?? '?'}, ${by} is for site ${site}`,
    )
  }
  const parsed = SPEC_SCHEMAS[role].safeParse({ name, site, labels, addresses })
  if (parsed.success) return withObject(held.fleet, role, parsed.data)
  throw new ApiError(
    'invalid-body',
    `${role} ${name} is not declared and cannot be created from this request`,
    {
      errors: zodDetails(parsed.error),
    },
  )
}

async function writeIdentity(
  deps: Deps,
  tx: Tx,
  given: {
    readonly candidate: Candidate
    readonly options: Parameters<typeof admit>[2]
    readonly next: Snapshot
  },
): Promise<Identity> {
  const { candidate, options, next } = given
  const { role, name, thumbprint, machineId, publicKey, site } = candidate
  // Looked at again under the lock: the same host may have asked twice at once.
  const known = await findIdentityByThumbprint(tx, thumbprint)
  if (known !== undefined && known.state !== 'revoked' && isSameHost(known, candidate)) return known
  const at = deps.now()
  const standing = await findStandingIdentity(tx, { role, name })
  if (standing !== undefined) {
    if (!candidate.replaces)
      throw new ApiError(
        'already-enrolled',
        `${role} ${name} is enrolled; revoke its identity first if the host was replaced`,
      )
    await revokeIdentity(tx, { role, name }, at)
  }
  await options.alongside(tx)
  const objectId = next.objects.get(objectKey(role, name))?.id
  if (objectId === undefined) throw new Error(`${role} ${name} is missing after its creation`)
  const identity: Identity = {
    id: randomUUID(),
    role,
    name,
    site,
    objectId,
    publicKey,
    thumbprint,
    state: 'active',
    machineId,
    enrolledAt: at,
    revokedAt: null,
    link: null,
    quarantine: null,
    sessionsVoidAt: null,
  }
  await insertIdentity(tx, identity)
  await insertAuditEvent(tx, {
    at,
    actor: options.actor,
    action: 'host.enrol',
    subject: `${role}/${name}`,
    revision: next.revision,
    detail: {
      thumbprint,
      machineId,
      by: candidate.by,
      ...candidate.evidence,
      ...(standing === undefined ? {} : { replaced: standing.thumbprint }),
    },
  })
  await notifyChange(tx)
  return identity
}
