/**
 * Compact JWS (RFC 7515) with Ed25519 (RFC 8037) and nothing else: what the agent signs its assertions with
 * and verifies states by. On node:crypto, because a JOSE library and WebCrypto together cost an agent 11 MB
 * of memory; jws.test.ts holds it against that library in both directions.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto'
import { canonicalJson, type PublicKey } from '@lvs-fleet/contract'

export type PrivateJwk = PublicKey & { readonly d: string }

const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/
/** RFC 9864 names the curve; RFC 8037 does not. Both mean the same for our keys. */
const ALGORITHMS: readonly unknown[] = ['EdDSA', 'Ed25519']

export function importPublicKey({ kty, crv, x }: PublicKey): KeyObject {
  return createPublicKey({ key: { kty, crv, x }, format: 'jwk' })
}

/** The payload when one of the keys has signed it, else undefined: whatever is wrong, it is not to be trusted. */
export function verifyCompact(jws: string, keys: readonly KeyObject[]): string | undefined {
  const [, header, payload, signature] = COMPACT.exec(jws) ?? []
  if (header === undefined || payload === undefined || signature === undefined) return undefined
  if (!isOurHeader(Buffer.from(header, 'base64url').toString('utf8'))) return undefined
  const signed = Buffer.from(`${header}.${payload}`)
  const proof = Buffer.from(signature, 'base64url')
  return keys.some((key) => verify(null, signed, key, proof))
    ? Buffer.from(payload, 'base64url').toString('utf8')
    : undefined
}

export function signCompact(
  header: Readonly<Record<string, string>>,
  payload: Readonly<Record<string, unknown>>,
  key: PrivateJwk,
): string {
  const text = [{ alg: 'EdDSA', ...header }, payload]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  return `${text}.${signText(text, key)}`
}

/** In base64url. */
export function signText(text: string, { kty, crv, x, d }: PrivateJwk): string {
  const key = createPrivateKey({ key: { kty, crv, x, d }, format: 'jwk' })
  return sign(null, Buffer.from(text, 'utf8'), key).toString('base64url')
}

/** RFC 7638: SHA-256 of the required members in order of their names, which is what canonical JSON gives. */
export function thumbprint({ kty, crv, x }: PublicKey): string {
  return createHash('sha256').update(canonicalJson({ kty, crv, x })).digest('base64url')
}

/** `crit` names extensions that a reader must understand (RFC 7515 4.1.11): we understand none. */
function isOurHeader(text: string): boolean {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return false
  }
  if (typeof value !== 'object' || value === null || 'crit' in value) return false
  return 'alg' in value && ALGORITHMS.includes(value.alg)
}
