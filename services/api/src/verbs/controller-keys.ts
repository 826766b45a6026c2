/**
 * ControllerKeys: which keys agents are told to trust and which one signs, as the database says, with the private
 * keys that this process holds. Follows the database, so that after a switch every process signs with the new key.
 */
import { KEY_LISTS_MAX, keyListSchema, type KeyList, type PublicKey } from '@lvs-fleet/contract'
import { ApiError } from '../errors.ts'
import type { Signer } from '../identity/signing-key.ts'
import type { Queryable } from '../store/database.ts'
import { loadKeyLists, newestSerial, type StoredKeyList } from '../store/key-list-store.ts'

export type Keyring = {
  /** Every private key that is there now. */
  readonly load: () => Promise<readonly Signer[]>
  /** Makes one and keeps it, or finds one that was given and is none of these thumbprints; undefined = there is none. */
  readonly make: (known: ReadonlySet<string>) => Promise<Signer | undefined>
}

export class ControllerKeys {
  readonly #first: Signer
  readonly keyring: Keyring
  #lists: readonly StoredKeyList[] = []
  #list: KeyList | undefined
  #signer: Signer

  /** `first` is the key of the beginning, or the only one. */
  constructor(first: Signer, keyring: Keyring) {
    this.#first = first
    this.#signer = first
    this.keyring = keyring
  }

  get signer(): Signer {
    return this.#signer
  }

  /** From the key of the beginning, so that what it sealed opens after every rotation. */
  deriveKey(purpose: string): Buffer {
    return this.#first.deriveKey(purpose)
  }

  get list(): KeyList | undefined {
    return this.#list
  }

  get newest(): StoredKeyList | undefined {
    return this.#lists.at(-1)
  }

  trusted(): { controllerKeys: PublicKey[]; keySerial: number } {
    return this.#list === undefined
      ? { controllerKeys: [this.#first.publicKey], keySerial: 0 }
      : { controllerKeys: [...this.#list.keys], keySerial: this.#list.serial }
  }

  /** For agents, oldest first: each is signed by a key of the one before. */
  get signedLists(): string[] {
    return this.#lists.slice(-KEY_LISTS_MAX).map((list) => list.jws)
  }

  /** Throws when the key that is to sign is not here: to sign with an old one would split the fleet. */
  async refresh(db: Queryable): Promise<void> {
    if ((await newestSerial(db)) === (this.newest?.serial ?? 0)) return
    const lists = await loadKeyLists(db)
    const newest = lists.at(-1)
    if (newest === undefined) return
    const signer = (await this.keyring.load()).find((one) => one.thumbprint === newest.current)
    if (signer === undefined) {
      throw new ApiError(
        'key-missing',
        `states are signed by key ${newest.current}, which this process does not have`,
      )
    }
    this.#lists = lists
    this.#list = payloadOf(newest.jws)
    this.#signer = signer
  }
}

/** Our own, from our database: read, not verified. */
function payloadOf(jws: string): KeyList {
  const text = Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()
  return keyListSchema.parse(JSON.parse(text))
}
