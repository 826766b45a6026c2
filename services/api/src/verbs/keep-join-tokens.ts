/**
 * Keeps a join token for each site and role where instances fetch it: in Parameter Store or a folder, under
 * `<site>/<role>`. At half of its life another takes its place; the old one is good until its own end, so that whoever
 * fetched it a moment ago still gets in.
 */
import { ROLES, type Role } from '@lvs-fleet/contract'
import { secretId } from '../identity/secret.ts'
import type { SecretStore } from '../secrets/secret.ts'
import { lockPublish } from '../store/controller-store.ts'
import { findJoinToken } from '../store/token-store.ts'
import type { Deps } from './deps.ts'
import { writeJoinToken } from './join-tokens.ts'

const LIFE_SECONDS = 86_400
const USES = 1_000
const ACTOR = 'controller'

/** Gives how many were put. One that fails is tried again next time; the others do not wait for it. */
export async function keepJoinTokens(deps: Deps, secrets: SecretStore): Promise<number> {
  let put = 0
  for (const { name: site } of deps.live.snapshot.fleet.sites) {
    for (const role of ROLES) {
      try {
        if (await keepOne(deps, secrets, { site, role })) put++
      } catch (error) {
        deps.log.warn({ err: error, site, role }, 'a join token for instances is not kept')
      }
    }
  }
  return put
}

async function keepOne(
  deps: Deps,
  secrets: SecretStore,
  { site, role }: { readonly site: string; readonly role: Role },
): Promise<boolean> {
  const name = `${site}/${role}`
  if (await isFresh(deps, await secrets.get(name))) return false
  return deps.database.db.transaction(async (tx) => {
    await lockPublish(tx)
    // Another process may have been quicker.
    if (await isFresh(deps, await secrets.get(name))) return false
    const wanted = {
      role,
      site,
      name: null,
      labels: {},
      approval: 'auto',
      replaces: false,
    } as const
    const { secret } = await writeJoinToken(tx, {
      actor: ACTOR,
      at: deps.now(),
      wanted: { ...wanted, ttlSeconds: LIFE_SECONDS, maxUses: USES },
    })
    // Before the commit: a token that nobody can fetch is worth nothing, one that is not known is replaced next time.
    await secrets.put(name, secret)
    return true
  })
}

/** Ours, good, with more than half of its life and of its uses left. */
async function isFresh(deps: Deps, text: string | undefined): Promise<boolean> {
  const id = text === undefined ? undefined : secretId('lvsj', text.trim())
  const token = id === undefined ? undefined : await findJoinToken(deps.database.db, id)
  if (token === undefined || token.revokedAt !== null) return false
  const leftMs = token.expiresAt.getTime() - deps.now().getTime()
  return leftMs > (LIFE_SECONDS * 1_000) / 2 && token.uses < token.maxUses / 2
}
