/**
 * Letting hosts in and putting them out, for operators who are bound to sites. What is another site's is told as not there:
 * an enroller is not to learn names by asking.
 */
import type { Role } from '@lvs-fleet/contract'
import { mayEnrol, type Scope } from '../access/grant.ts'
import { ApiError } from '../errors.ts'
import { listPending } from '../store/enrolment-store.ts'
import { findJoinToken, type JoinToken } from '../store/token-store.ts'
import type { Deps } from './deps.ts'
import { findPublished } from './read-hosts.ts'

export function checkHostScope(
  deps: Deps,
  scope: Scope | null,
  { role, name }: { readonly role: Role; readonly name: string },
): void {
  if (scope === null) return
  const site = findPublished(deps, role, name)?.site
  if (site === undefined || !mayEnrol(scope, site))
    throw new ApiError('not-found', `${role} ${name} is not enrolled`)
}

export function checkSiteScope(scope: Scope | null, site: string): void {
  if (!mayEnrol(scope, site))
    throw new ApiError('forbidden', `the credential lets no host into site ${site}`)
}

export async function checkJoinTokenScope(
  deps: Deps,
  scope: Scope | null,
  id: string,
): Promise<void> {
  if (scope === null) return
  const token = await findJoinToken(deps.database.db, id)
  if (token === undefined || !mayEnrol(scope, token.site))
    throw new ApiError('not-found', `there is no join token ${id}`)
}

export async function checkPendingScope(
  deps: Deps,
  scope: Scope | null,
  id: string,
): Promise<void> {
  if (scope === null) return
  const waiting = (await listPending(deps.database.db, deps.now())).find((one) => one.id === id)
  if (waiting === undefined || !mayEnrol(scope, waiting.candidate.site))
    throw new ApiError('not-found', `no host waits as ${id}`)
}

/** Lists are fleet-wide for those who read the fleet anyway. */
export function visibleJoinTokens(
  scope: Scope | null,
  tokens: readonly JoinToken[],
): readonly JoinToken[] {
  return tokens.filter(({ site }) => mayEnrol(scope, site))
}
