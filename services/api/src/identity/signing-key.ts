/**
 * The controller's signing key: an Ed25519 private key in a file (PKCS #8 PEM, mode 0600).
 * Gives the signer of host states. Agents trust what they were told of, so no key is replaced but by announcement
 * (`verbs/rotate-controller-key.ts`).
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import { open, readFile, rename } from 'node:fs/promises'
import {
  AUDIT_CHECKPOINT_TYPE,
  canonicalJson,
  publicKeySchema,
  type AuditCheckpoint,
  type KeyList,
  type Manifest,
  type PublicKey,
} from '@lvs-fleet/contract'
import { CompactSign } from 'jose'
import { thumbprintOf } from './public-key.ts'

export type Signer = {
  readonly publicKey: PublicKey
  readonly thumbprint: string
  /** Compact JWS over the canonical text of the manifest. */
  readonly sign: (manifest: Manifest) => Promise<string>
  /** The same over a head of the audit chain. */
  readonly signCheckpoint: (checkpoint: AuditCheckpoint) => Promise<string>
  /** A key of 32 bytes for another purpose, the same for as long as the signing key is. */
  readonly deriveKey: (purpose: string) => Buffer
  readonly signKeyList: (list: KeyList) => Promise<string>
}

const DERIVED_BYTES = 32

export function makeSigner(privateKey: KeyObject): Signer {
  const publicKey = publicKeySchema.parse(createPublicKey(privateKey).export({ format: 'jwk' }))
  const thumbprint = thumbprintOf(publicKey)
  const encoder = new TextEncoder()
  const seed = privateKey.export({ type: 'pkcs8', format: 'der' })
  const signAs = (typ: string, payload: object) =>
    new CompactSign(encoder.encode(canonicalJson(payload)))
      .setProtectedHeader({ alg: 'EdDSA', kid: thumbprint, typ })
      .sign(privateKey)
  return {
    publicKey,
    thumbprint,
    sign: (manifest) => signAs('lvsfleet-state', manifest),
    signCheckpoint: (checkpoint) => signAs(AUDIT_CHECKPOINT_TYPE, checkpoint),
    deriveKey: (purpose) =>
      Buffer.from(hkdfSync('sha256', seed, '', `lvsfleet ${purpose}`, DERIVED_BYTES)),
    signKeyList: (list) => signAs('lvsfleet-keys', list),
  }
}

/** undefined when there is no such file. */
export async function readSigningKey(file: string): Promise<Signer | undefined> {
  const pem = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  return pem === undefined ? undefined : parseSigningKey(pem, file)
}

/** `where` it is from, for the message. */
export function parseSigningKey(pem: string, where: string): Signer {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch (error) {
    throw new Error(`${where} is no private key (PKCS #8 PEM)`, { cause: error })
  }
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`${where} is no Ed25519 key`)
  return makeSigner(key)
}

export function newSigningKey(): { signer: Signer; pem: string } {
  const { privateKey } = generateKeyPairSync('ed25519')
  return {
    signer: makeSigner(privateKey),
    pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** Whole or not at all: a half-written key would lock every agent out. */
export async function writeSecretFile(file: string, text: string): Promise<void> {
  const unfinished = `${file}.${process.pid}`
  const handle = await open(unfinished, 'w', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(unfinished, file)
}
