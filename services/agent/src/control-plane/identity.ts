/**
 * Who this host is: its key pair, made here and never sent anywhere, and what enrolment gave it.
 * The private key is written before it is used, so that an enrolment whose answer was lost can be repeated
 * with the same key.
 */
import { generateKeyPairSync } from 'node:crypto'
import {
  canonicalJson,
  enrolAnswerSchema,
  publicKeySchema,
  type EnrolAnswer,
  type PublicKey,
} from '@lvs-fleet/contract'
import * as z from 'zod/mini'
import { saveAtomically, sha256Hex } from '../disk/sealed.ts'
import { AgentError, type Disk } from '../ports.ts'
import { forgetChain } from './chain.ts'

export const KEY_FILE = 'key.json'
const IDENTITY_FILE = 'identity.json'

const privateKeySchema = z.object({
  ...publicKeySchema.shape,
  d: z.string().check(z.regex(/^[A-Za-z0-9_-]{43}$/)),
})
export type HostKey = z.infer<typeof privateKeySchema>

const identitySchema = z.object({
  ...enrolAnswerSchema.shape,
  /** Controller keys of before: for states on this disk only. */
  formerKeys: z.optional(z.array(publicKeySchema)),
  /** SHA-256 of the rest: a flipped bit must not become another host id or another trusted key. */
  check: z.string(),
})

export type HostIdentity = EnrolAnswer & { readonly formerKeys?: PublicKey[] | undefined }

/** The host's key pair from disk; made when there is none. */
export async function loadOrMakeKey(disk: Disk): Promise<HostKey> {
  const found = await loadKey(disk)
  if (found !== undefined) return found
  const key = makeKey()
  await saveAtomically(disk, KEY_FILE, `${JSON.stringify(key)}\n`)
  return key
}

export function makeKey(): HostKey {
  return privateKeySchema.parse(generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }))
}

export function loadKey(disk: Disk): Promise<HostKey | undefined> {
  return loadKeyFile(disk, KEY_FILE)
}

export async function loadKeyFile(disk: Disk, file: string): Promise<HostKey | undefined> {
  const text = await disk.read(file)
  if (text === undefined) return undefined
  const parsed = privateKeySchema.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  throw new AgentError(`${file} is damaged: restore it, or remove it and enrol this host again`)
}

/** Before an enrolment with a new key: what this host was stays beside, for whoever wants it back. */
export async function setIdentityAside(disk: Disk): Promise<void> {
  // The identity first: a key without an identity is a host that is about to enrol.
  for (const file of [IDENTITY_FILE, KEY_FILE]) {
    if ((await disk.read(file)) !== undefined) await disk.rename(file, `${file}.before`)
  }
  await forgetChain(disk)
  await disk.syncDirectory('.')
}

export function publicPart({ kty, crv, x }: HostKey): PublicKey {
  return { kty, crv, x }
}

/** What enrolment gave; undefined before enrolment. */
export async function loadIdentity(disk: Disk): Promise<HostIdentity | undefined> {
  const text = await disk.read(IDENTITY_FILE)
  if (text === undefined) return undefined
  const parsed = identitySchema.safeParse(parseJson(text))
  if (parsed.success) {
    const { check, ...identity } = parsed.data
    if (check === sha256Hex(canonicalJson(identity))) return identity
  }
  throw new AgentError(
    `${IDENTITY_FILE} is damaged: restore it, or remove it and enrol this host again`,
  )
}

export async function saveIdentity(disk: Disk, identity: HostIdentity): Promise<void> {
  const check = sha256Hex(canonicalJson(identity))
  await saveAtomically(disk, IDENTITY_FILE, `${JSON.stringify({ ...identity, check }, null, 2)}\n`)
}

function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    return undefined
  }
}
