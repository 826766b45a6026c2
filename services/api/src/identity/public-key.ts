/** Ed25519 public keys as JWK: thumbprints (RFC 7638) and the proof that an enrolling host holds its key. */
import { createPublicKey, hash, verify, type KeyObject } from 'node:crypto'
import { enrolProofText, type PublicKey } from '@lvs-fleet/contract'

/** RFC 7638, RFC 8037: the members in this order, no white space. */
export function thumbprintOf(key: PublicKey): string {
  return hash('sha256', `{"crv":"${key.crv}","kty":"${key.kty}","x":"${key.x}"}`, 'base64url')
}

/** undefined when the bytes are no point on the curve. */
export function importPublicKey(key: PublicKey): KeyObject | undefined {
  try {
    return createPublicKey({ key: { kty: key.kty, crv: key.crv, x: key.x }, format: 'jwk' })
  } catch {
    return undefined
  }
}

/** The host signs `lvsfleet-enrol:<token or challenge>` with the key that it wants to be known by. */
export function isEnrolProof(key: PublicKey, secret: string, proof: string): boolean {
  return isSignedBy(key, enrolProofText(secret), proof)
}

/** `proof` in base64url. */
export function isSignedBy(key: PublicKey, text: string, proof: string): boolean {
  const publicKey = importPublicKey(key)
  if (publicKey === undefined || !/^[A-Za-z0-9_-]{86}$/.test(proof)) return false
  try {
    return verify(null, Buffer.from(text), publicKey, Buffer.from(proof, 'base64url'))
  } catch {
    return false
  }
}
