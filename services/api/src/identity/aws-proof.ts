/**
 * Reads a signed GetCallerIdentity request before anything of it is sent. Takes the headers that a host signed and what
 * they must say; gives the request to send, or why not. Pure. Method, path and body are ours, so a proof can ask
 * STS for nothing else: a host that signed another request has a signature that STS refuses.
 * Sources: Signature Version 4 in the IAM user guide; the idea is that of Vault's AWS method and of Teleport's IAM join.
 */
import { AWS_CHALLENGE_HEADER, AWS_KEY_HEADER, type AwsProof } from '@lvs-fleet/contract'
import { regionOfStsHost } from './sts-hosts.ts'

/** STS itself takes no request whose date is farther off. */
export const PROOF_AGE_MS_MAX = 15 * 60_000
const PROOF_AHEAD_MS_MAX = 5 * 60_000

export type SignedRequest = {
  readonly host: string
  /** Of the STS host: where the host says it is, not where it is proven to be. */
  readonly region: string
  readonly headers: Readonly<Record<string, string>>
}
export type AwsProofResult =
  | { readonly ok: true; readonly request: SignedRequest }
  | { readonly ok: false; readonly why: string }

/** Nothing else is passed on: a header of the host's choice must not change what the request means. */
const KNOWN_HEADERS = new Set([
  'host',
  'content-type',
  'x-amz-date',
  'x-amz-content-sha256',
  'x-amz-security-token',
  'authorization',
  AWS_CHALLENGE_HEADER,
  AWS_KEY_HEADER,
])
const MUST_BE_SIGNED = ['host', 'x-amz-date', AWS_CHALLENGE_HEADER, AWS_KEY_HEADER] as const

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=[A-Z0-9]{16,128}\/(\d{8})\/([a-z0-9-]{1,40})\/sts\/aws4_request, ?SignedHeaders=([a-z0-9;-]{1,400}), ?Signature=[0-9a-f]{64}$/
const AMZ_DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/

export function readAwsProof(
  proof: AwsProof,
  expect: { readonly challenge: string; readonly thumbprint: string; readonly now: Date },
): AwsProofResult {
  const headers = new Map<string, string>()
  for (const [name, value] of proof.headers) {
    if (!KNOWN_HEADERS.has(name))
      return refuse(`header ${JSON.stringify(name)} is none of those that are passed on`)
    if (headers.has(name)) return refuse(`header ${name} stands twice`)
    if (!/^[\x20-\x7e]+$/.test(value))
      return refuse(`header ${name} is empty or has characters that no header has`)
    headers.set(name, value)
  }
  const host = headers.get('host') ?? ''
  const region = regionOfStsHost(host)
  if (region === undefined) return refuse(`host ${JSON.stringify(host)} is no STS host`)
  const [, day, scopeRegion, signedList] =
    AUTHORIZATION.exec(headers.get('authorization') ?? '') ?? []
  if (day === undefined || signedList === undefined)
    return refuse('the authorization header is no Signature Version 4 for sts')
  if (scopeRegion !== region)
    return refuse(`it is signed for ${scopeRegion}, and ${host} is in ${region}`)
  const signed = signedList.split(';')
  const unsigned = MUST_BE_SIGNED.find((name) => !signed.includes(name))
  if (unsigned !== undefined) return refuse(`header ${unsigned} is not among the signed ones`)
  const absent = signed.find((name) => !headers.has(name))
  if (absent !== undefined) return refuse(`signed header ${absent} is missing`)
  const loose = [...headers.keys()].find((name) => name.startsWith('x-') && !signed.includes(name))
  if (loose !== undefined) return refuse(`header ${loose} is not among the signed ones`)
  if (headers.get(AWS_CHALLENGE_HEADER) !== expect.challenge)
    return refuse('it was signed for another challenge')
  if (headers.get(AWS_KEY_HEADER) !== expect.thumbprint)
    return refuse('it was signed for another public key')
  const stale = wrongDate(headers.get('x-amz-date') ?? '', day, expect.now)
  if (stale !== undefined) return refuse(stale)
  return { ok: true, request: { host, region, headers: Object.fromEntries(headers) } }
}

function wrongDate(text: string, day: string, now: Date): string | undefined {
  const match = AMZ_DATE.exec(text)
  if (match === null || !text.startsWith(day)) return 'x-amz-date is no date of the signature'
  const [, year, month, date, hours, minutes, seconds] = match.map(Number)
  const at = Date.UTC(
    year ?? 0,
    (month ?? 0) - 1,
    date ?? 0,
    hours ?? 0,
    minutes ?? 0,
    seconds ?? 0,
  )
  const age = now.getTime() - at
  if (age > PROOF_AGE_MS_MAX) return 'it was signed more than 15 minutes ago'
  return age < -PROOF_AHEAD_MS_MAX ? 'it was signed in the future; check the clock' : undefined
}

function refuse(why: string): AwsProofResult {
  return { ok: false, why }
}
