/**
 * The private keys of the controller on disk: `signing.key` of the beginning, and those made since, in the folder
 * `signing-keys`, by thumbprint. Or keys that are given as text, from the environment or Parameter Store, of which
 * none can be made here.
 */
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { newSigningKey, readSigningKey, writeSecretFile, type Signer } from './signing-key.ts'

export type SigningKeys = {
  readonly load: () => Promise<readonly Signer[]>
  /** One that is none of these; undefined where keys are given and there is no other. */
  readonly make: (known: ReadonlySet<string>) => Promise<Signer | undefined>
}

export function fileKeyring(first: Signer, folder: string): SigningKeys {
  return {
    load: async () => {
      const signers = [first]
      for (const name of await namesIn(folder)) {
        const signer = await readSigningKey(join(folder, name))
        if (signer !== undefined) signers.push(signer)
      }
      return signers
    },
    make: async () => {
      const { signer, pem } = newSigningKey()
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await writeSecretFile(join(folder, `${signer.thumbprint}.key`), pem)
      return signer
    },
  }
}

/** The next is the first that never signed here: a key that was retired does not come back by an announcement. */
export function givenKeyring(load: () => Promise<readonly Signer[]>): SigningKeys {
  return {
    load,
    make: async (known) => (await load()).find((one) => !known.has(one.thumbprint)),
  }
}

async function namesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names.filter((name) => name.endsWith('.key'))
}
