/**
 * Operators by OIDC: takes a token, gives who it is and what the rules allow, or why not. The issuer is looked up
 * in the settings by what the token claims, so nothing outside of them is ever asked for keys.
 */
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose'
import type { Grant } from '../access/grant.ts'
import { OidcKeys } from './oidc-keys.ts'
import type { OidcIssuer } from './oidc-settings.ts'

const CLOCK_TOLERANCE_SECONDS = 30
const AGE_MAX_SECONDS = 3_600
/** `JWT` and nothing are what issuers send; `at+jwt` is RFC 9068. Others, such as logout tokens, are no credentials. */
const TYPES = new Set([undefined, 'jwt', 'at+jwt', 'application/at+jwt'])
/** So that it can stand in a log line and in the audit trail. */
const SUBJECT = /^[\x21-\x7e]{1,200}$/

export type OidcResult =
  | { readonly ok: true; readonly subject: string; readonly grant: Grant | undefined }
  | { readonly ok: false; readonly why: string }

/** A token of three parts, whatever it says. */
export function looksLikeJwt(text: string): boolean {
  return /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/.test(text)
}

export class OidcVerifier {
  readonly #issuers: ReadonlyMap<string, { readonly settings: OidcIssuer; readonly keys: OidcKeys }>
  readonly #now: () => Date

  constructor(issuers: readonly OidcIssuer[], now: () => Date) {
    this.#now = now
    this.#issuers = new Map(
      issuers.map((settings) => [settings.issuer, { settings, keys: new OidcKeys(settings, now) }]),
    )
  }

  async verify(token: string): Promise<OidcResult> {
    const issuer = this.#issuers.get(claimedIssuer(token) ?? '')
    if (issuer === undefined)
      return { ok: false, why: 'its issuer is not one that is believed here' }
    try {
      return resultOf(await this.#check(token, issuer), issuer.settings)
    } catch (error) {
      return { ok: false, why: refusal(error) }
    }
  }

  async #check(
    token: string,
    issuer: { readonly settings: OidcIssuer; readonly keys: OidcKeys },
  ): Promise<JWTPayload> {
    const { settings, keys } = issuer
    const verify = async () => {
      const { payload } = await jwtVerify(token, await keys.current(), {
        issuer: settings.issuer,
        audience: settings.audience,
        algorithms: settings.algorithms,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        maxTokenAge: AGE_MAX_SECONDS,
        requiredClaims: ['exp', 'iat', 'sub'],
        currentDate: this.#now(),
      })
      return payload
    }
    try {
      return await verify()
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      // The issuer may have a new key; that it does not answer now leaves the token refused.
      await keys.refresh()
      return verify()
    }
  }
}

function claimedIssuer(token: string): string | undefined {
  try {
    const { typ, alg } = decodeProtectedHeader(token)
    if (typeof alg !== 'string' || !TYPES.has(typ?.toLowerCase())) return undefined
    return decodeJwt(token).iss
  } catch {
    return undefined
  }
}

function resultOf(payload: JWTPayload, settings: OidcIssuer): OidcResult {
  const { sub } = payload
  if (sub === undefined || !SUBJECT.test(sub)) return { ok: false, why: 'its subject is unusable' }
  const rule = settings.rules.find(({ claim, value }) => hasValue(payload[claim], value))
  return {
    ok: true,
    subject: `oidc/${settings.name}/${sub}`,
    grant:
      rule === undefined ? undefined : { role: rule.role, sites: rule.sites, labels: rule.labels },
  }
}

function hasValue(claim: unknown, value: string): boolean {
  return Array.isArray(claim) ? claim.includes(value) : claim === value
}

/** Words of our own: what a library says may quote the token. */
function refusal(error: unknown): string {
  if (error instanceof errors.JWTExpired)
    return `it is expired or older than ${AGE_MAX_SECONDS} seconds`
  if (error instanceof errors.JWTClaimValidationFailed)
    return `its claim ${error.claim} is not accepted`
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'its signature does not fit'
  if (error instanceof errors.JOSEAlgNotAllowed) return 'its algorithm is not allowed'
  if (error instanceof errors.JWKSNoMatchingKey) return 'its key is not one of the issuer'
  if (error instanceof errors.JOSEError) return 'it is not a signed token of the expected form'
  return 'the keys of its issuer cannot be had'
}
