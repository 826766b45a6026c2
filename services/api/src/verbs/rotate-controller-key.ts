/**
 * The controller's signing key is replaced in three steps, each by an operator: `announce` makes the next key and tells
 * agents to trust both; `switch` signs every state anew with it; `retire` tells agents to trust it alone. Each step is a
 * list signed by a key of the list before, so that an agent that was away for all of them follows step by step.
 */
import type { PublicKey } from '@lvs-fleet/contract'
import { ApiError } from '../errors.ts'
import { thumbprintOf } from '../identity/public-key.ts'
import type { Signer } from '../identity/signing-key.ts'
import { insertAuditEvent } from '../store/audit-store.ts'
import { loadController, lockPublish, notifyChange } from '../store/controller-store.ts'
import type { Tx } from '../store/database.ts'
import { insertKeyList, updateControllerKeys } from '../store/key-list-store.ts'
import type { Deps } from './deps.ts'
import { publish } from './publish.ts'

export async function announceKey(deps: Deps, actor: string): Promise<void> {
  await deps.database.db.transaction(async (tx) => {
    await lockPublish(tx)
    await deps.controllerKeys.refresh(tx)
    const { signer, keyring } = deps.controllerKeys
    const trusted = deps.controllerKeys.trusted().controllerKeys
    if (trusted.length > 1)
      throw new ApiError(
        'conflict',
        'a key is announced already: switch to it, then retire the old',
      )
    const known = (await loadController(tx))?.keys ?? []
    const next = await keyring.make(new Set(known.map(thumbprintOf)))
    if (next === undefined)
      throw new ApiError(
        'conflict',
        'keys are given to this API from outside, and none of them is new: put the next one there',
      )
    // Written before agents hear of it: a process that starts now must know the key as ours.
    await updateControllerKeys(tx, distinct([...known, signer.publicKey, next.publicKey]))
    await writeList(deps, tx, {
      actor,
      action: 'controller.announce-key',
      signer,
      keys: [signer.publicKey, next.publicKey],
      current: signer,
    })
  })
  await deps.controllerKeys.refresh(deps.database.db)
}

/** Publishes every state anew, by the next key, in a new epoch. */
export async function switchKey(deps: Deps, actor: string): Promise<void> {
  await deps.database.db.transaction(async (tx) => {
    await lockPublish(tx)
    await deps.controllerKeys.refresh(tx)
    const { signer } = deps.controllerKeys
    const keys = deps.controllerKeys.trusted().controllerKeys
    const next = keys.find((key) => thumbprintOf(key) !== signer.thumbprint)
    // The announced key is the last of the list; after the switch it is the one that signs.
    if (next === undefined || thumbprintOf(keys.at(-1) ?? next) === signer.thumbprint)
      throw new ApiError('conflict', 'no next key is announced')
    const current = await privateOf(deps, next)
    await writeList(deps, tx, { actor, action: 'controller.switch-key', signer, keys, current })
  })
  await deps.controllerKeys.refresh(deps.database.db)
  await publish(deps, {
    actor,
    action: 'controller.switch-key',
    newEpoch: true,
    change: (held) => held.fleet,
  })
}

export async function retireKey(deps: Deps, actor: string): Promise<void> {
  await signAllAnew(deps, actor)
  await deps.database.db.transaction(async (tx) => {
    await lockPublish(tx)
    await deps.controllerKeys.refresh(tx)
    const { signer } = deps.controllerKeys
    const keys = deps.controllerKeys.trusted().controllerKeys
    if (keys.length < 2 || thumbprintOf(keys.at(-1) ?? signer.publicKey) !== signer.thumbprint)
      throw new ApiError('conflict', 'no key was switched away from')
    await writeList(deps, tx, {
      actor,
      action: 'controller.retire-key',
      signer,
      keys: [signer.publicKey],
      current: signer,
    })
  })
  await deps.controllerKeys.refresh(deps.database.db)
}

/** Where the switch was cut off between its list and its states. */
async function signAllAnew(deps: Deps, actor: string): Promise<void> {
  const { thumbprint } = deps.controllerKeys.signer
  const states = [...deps.live.snapshot.states.values()]
  if (states.every((state) => state.removedAt !== null || keyOf(state.jws) === thumbprint)) return
  const trusted = deps.controllerKeys.trusted().controllerKeys
  if (thumbprintOf(trusted.at(-1) ?? deps.controllerKeys.signer.publicKey) !== thumbprint) return
  await publish(deps, {
    actor,
    action: 'controller.retire-key',
    newEpoch: true,
    change: (held) => held.fleet,
  })
}

function keyOf(jws: string): unknown {
  const header: unknown = JSON.parse(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString())
  return typeof header === 'object' && header !== null && 'kid' in header ? header.kid : undefined
}

async function privateOf(deps: Deps, key: PublicKey): Promise<Signer> {
  const wanted = thumbprintOf(key)
  const found = (await deps.controllerKeys.keyring.load()).find((one) => one.thumbprint === wanted)
  if (found !== undefined) return found
  throw new ApiError('key-missing', `the announced key ${wanted} is not here any more`)
}

async function writeList(
  deps: Deps,
  tx: Tx,
  given: {
    readonly actor: string
    readonly action: string
    /** Of the list before. */
    readonly signer: Signer
    readonly keys: readonly PublicKey[]
    readonly current: Signer
  },
): Promise<void> {
  const { actor, action, signer, keys, current } = given
  const at = deps.now()
  const serial = deps.controllerKeys.trusted().keySerial + 1
  const list = { purpose: 'lvsfleet-controller-keys' as const, serial, keys: [...keys] }
  const jws = await signer.signKeyList(list)
  await insertKeyList(tx, { serial, current: current.thumbprint, jws, createdAt: at })
  await insertAuditEvent(tx, {
    at,
    actor,
    action,
    subject: `controller-key/${current.thumbprint}`,
    revision: null,
    detail: { serial, keys: keys.map(thumbprintOf) },
  })
  await notifyChange(tx)
}

function distinct(keys: readonly PublicKey[]): PublicKey[] {
  return [...new Map(keys.map((key) => [key.x, key])).values()]
}
