/**
 * What a new installation needs before it can serve: the controller's key, its row in the database, and one
 * API key. Refuses to start with a key that did not sign this database's states: every agent would reject them.
 */
import { dirname } from 'node:path'
import { mkdir } from 'node:fs/promises'
import {
  newSigningKey,
  readSigningKey,
  writeSecretFile,
  type Signer,
} from '../identity/signing-key.ts'
import { thumbprintOf } from '../identity/public-key.ts'
import {
  insertController,
  loadController,
  lockPublish,
  type Controller,
} from '../store/controller-store.ts'
import type { Database } from '../store/database.ts'
import { countUsableAdminKeys } from '../store/token-store.ts'
import { writeApiKey } from './api-keys.ts'

/** Where the controller's key is kept; `name` is for messages. */
export type KeyPlace = {
  readonly name: string
  readonly read: () => Promise<Signer | undefined>
  readonly make: () => Promise<Signer>
}

export function keyInFile(file: string): KeyPlace {
  return { name: file, read: () => readSigningKey(file), make: () => makeKeyFile(file) }
}

/** One that was told, from the environment or Parameter Store. */
export function keyGiven(signer: Signer): KeyPlace {
  const same = async () => signer
  return { name: 'LVSFLEET_SIGNING_KEY', read: same, make: same }
}

/** The signer of this database's states; made now when the database is new. */
export async function openController(database: Database, place: KeyPlace): Promise<Signer> {
  return database.db.transaction(async (tx) => {
    await lockPublish(tx)
    const known = await loadController(tx)
    const held = await place.read()
    if (known !== undefined) return signerOf(known, held, place.name)
    const signer = held ?? (await place.make())
    await insertController(tx, { epoch: 1, keys: [signer.publicKey] })
    return signer
  })
}

/** The key that was found, if it is one that signs this database; throws what to do otherwise. */
export function signerOf(known: Controller, held: Signer | undefined, place: string): Signer {
  const thumbprints = known.keys.map(thumbprintOf)
  if (held === undefined) {
    throw new Error(
      `the database is signed by controller key ${thumbprints.join(', ')}, and ${place} is missing; ` +
        'put that key there or set LVSFLEET_SIGNING_KEY_FILE: agents would reject a new one',
    )
  }
  if (!thumbprints.includes(held.thumbprint)) {
    throw new Error(
      `${place} is key ${held.thumbprint}, but the database is signed by ${thumbprints.join(', ')}; ` +
        'put that key there or use another database',
    )
  }
  return held
}

async function makeKeyFile(file: string): Promise<Signer> {
  const { signer, pem } = newSigningKey()
  await mkdir(dirname(file), { recursive: true })
  await writeSecretFile(file, pem)
  return signer
}

/**
 * Makes an admin key when there is none that is good: at the first start, and after all have expired. undefined
 * otherwise. The file is written before the row.
 */
export async function makeFirstApiKey(
  deps: { readonly database: Database; readonly now: () => Date },
  keep: (secret: string) => Promise<void>,
): Promise<string | undefined> {
  return deps.database.db.transaction(async (tx) => {
    await lockPublish(tx)
    if ((await countUsableAdminKeys(tx, deps.now())) > 0) return undefined
    const wanted = {
      name: 'first',
      role: 'admin',
      sites: null,
      labels: null,
      ttlSeconds: null,
    } as const
    const made = { actor: 'first-start', at: deps.now(), notAfter: null }
    const { secret } = await writeApiKey(tx, made, wanted)
    await keep(secret)
    return secret
  })
}
