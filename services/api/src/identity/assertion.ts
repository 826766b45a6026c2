/**
 * Reads a client assertion (RFC 7523): a JWT that a host signed with its key to get an access token.
 * EdDSA only, for our configured name, at most two minutes long; the caller sees to it that each is used once.
 */
import { decodeProtectedHeader, errors, jwtVerify } from 'jose'
import * as z from 'zod'
import type { PublicKey } from '@lvs-fleet/contract'
import { importPublicKey } from './public-key.ts'

export const ASSERTION_SECONDS_MAX = 120
/** Clocks of two machines that follow NTP differ by less. */
const CLOCK_TOLERANCE_SECONDS = 5

/** What the host shows to be the only one with its key: the link that was taken last, and the one that is to follow. */
export type Chain = { readonly prev: string; readonly next: string }
export type Assertion = {
  readonly jti: string
  readonly expiresAt: Date
  readonly subject: string
  readonly chain: Chain | undefined
}
export type AssertionResult =
  | { readonly ok: true; readonly assertion: Assertion }
  | { readonly ok: false; readonly why: string }

const linkSchema = z.string().regex(/^[A-Za-z0-9_-]{22,64}$/)
const chainSchema = z.strictObject({ prev: linkSchema, next: linkSchema })

const claimsSchema = z.object({
  iss: z.string(),
  sub: z.string(),
  jti: z.string().min(8).max(128),
  exp: z.number(),
  lvs_chain: chainSchema.optional(),
})

/** The thumbprint of the key that the assertion says it is signed with; undefined when it is no JWT of ours. */
export function assertionKeyId(text: string): string | undefined {
  try {
    const header = decodeProtectedHeader(text)
    return header.alg === 'EdDSA' && typeof header.kid === 'string' && header.kid.length <= 64
      ? header.kid
      : undefined
  } catch {
    return undefined
  }
}

export async function verifyAssertion(
  text: string,
  publicKey: PublicKey,
  expect: { readonly audience: string; readonly now: Date },
): Promise<AssertionResult> {
  const key = importPublicKey(publicKey)
  if (key === undefined) return { ok: false, why: 'the enrolled key is unusable' }
  try {
    const { payload } = await jwtVerify(text, key, {
      algorithms: ['EdDSA'],
      audience: expect.audience,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: expect.now,
      requiredClaims: ['exp', 'jti', 'sub', 'iss'],
    })
    const claims = claimsSchema.parse(payload)
    if (typeof payload.aud !== 'string') return { ok: false, why: 'aud must be one name' }
    const seconds = claims.exp - expect.now.getTime() / 1_000
    if (seconds > ASSERTION_SECONDS_MAX + CLOCK_TOLERANCE_SECONDS) {
      return {
        ok: false,
        why: `exp is more than ${ASSERTION_SECONDS_MAX} seconds ahead; check the clock`,
      }
    }
    if (claims.iss !== claims.sub) return { ok: false, why: 'iss and sub differ' }
    const expiresAt = new Date((claims.exp + CLOCK_TOLERANCE_SECONDS) * 1_000)
    const { jti, sub: subject, lvs_chain: chain } = claims
    return { ok: true, assertion: { jti, expiresAt, subject, chain } }
  } catch (error) {
    return { ok: false, why: refusal(error) }
  }
}

/** Words of our own: what a library says may quote the token. */
function refusal(error: unknown): string {
  if (error instanceof errors.JWTExpired)
    return 'it is expired; check the clock against this answer'
  if (error instanceof errors.JWTClaimValidationFailed)
    return `claim ${error.claim} is not accepted`
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'the signature does not fit'
  return 'it is not a signed token of the expected form'
}
