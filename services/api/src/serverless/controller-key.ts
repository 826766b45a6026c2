/** The controller's key in a parameter: PKCS #8 PEM of an Ed25519 key, as in the file of a Node installation. */
import { createPrivateKey } from 'node:crypto'
import { makeSigner, newSigningKey, type Signer } from '../identity/signing-key.ts'
import type { KeyPlace } from '../verbs/first-start.ts'
import type { Parameters } from '../secrets/parameter-store.ts'

export function keyInParameter(
  parameters: Pick<Parameters, 'read' | 'create'>,
  name: string,
): KeyPlace {
  return {
    name: `parameter ${name}`,
    read: async () => {
      const pem = await parameters.read(name)
      return pem === undefined ? undefined : signerFrom(pem, name)
    },
    make: async () => {
      const { signer, pem } = newSigningKey()
      await parameters.create(name, pem)
      return signer
    },
  }
}

function signerFrom(pem: string, name: string): Signer {
  try {
    const key = createPrivateKey(pem)
    if (key.asymmetricKeyType === 'ed25519') return makeSigner(key)
  } catch (error) {
    throw new Error(`parameter ${name} holds no private key (PKCS #8 PEM)`, { cause: error })
  }
  throw new Error(`parameter ${name} holds no Ed25519 key`)
}
