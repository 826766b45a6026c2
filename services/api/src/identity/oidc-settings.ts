/**
 * Settings of OIDC: which issuers are believed, for which audience, and which claims give which role. Takes the text of a
 * JSON file; gives checked issuers or says which field is wrong.
 */
import * as z from 'zod'
import { grantFields, grantProblem } from '../access/grant.ts'
import { nameSchema } from '../intent/shared-fields.ts'

/** Signatures by a key pair only: with a shared secret whoever verifies could sign. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

const ruleSchema = z
  .strictObject({
    /** Name of a claim at the top of the token. */
    claim: z.string().min(1).max(200),
    /** The claim is this text, or a list that has it. */
    value: z.string().min(1).max(500),
    ...grantFields,
  })
  .superRefine((rule, ctx) => {
    const problem = grantProblem(rule)
    if (problem !== undefined)
      ctx.addIssue({ code: 'custom', path: [problem.field], message: problem.message })
  })

const issuerSchema = z.strictObject({
  /** In the audit trail: `oidc/NAME/SUBJECT`. */
  name: nameSchema,
  /** Exactly as tokens say it. https, or http on this machine. */
  issuer: z.url().max(500).refine(isTrustworthyUrl, {
    error: 'must be https (http only on a loopback address), without query',
  }),
  /** Of which one must be in the token's `aud`. */
  audience: z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(20)]),
  algorithms: z.array(z.enum(ALGORITHMS)).min(1).default(['RS256', 'PS256', 'ES256', 'EdDSA']),
  /** Hosts besides the issuer's own that its keys may be fetched from, such as www.googleapis.com. */
  keyHosts: z.array(z.string().min(1).max(255)).max(10).default([]),
  /** Seconds before keys are fetched again for a token whose key is not known. */
  cooldownSeconds: z.int().min(1).max(300).default(30),
  /** Looked at in this order; the first that fits gives the role. Nothing fits: refused. */
  rules: z.array(ruleSchema).min(1).max(500),
})

const settingsSchema = z
  .strictObject({ issuers: z.array(issuerSchema).min(1).max(20) })
  .refine(({ issuers }) => new Set(issuers.map(({ issuer }) => issuer)).size === issuers.length, {
    error: 'has an issuer twice',
  })

export type OidcIssuer = z.output<typeof issuerSchema>

/** Throws an Error whose message names every wrong field. */
export function parseOidcSettings(text: string, source: string): OidcIssuer[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new Error(`${source} is not JSON`, { cause: error })
  }
  const parsed = settingsSchema.safeParse(value)
  if (parsed.success) return parsed.data.issuers
  const lines = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`)
  throw new Error(`${source} is wrong: ${lines.join('; ')}`)
}

/** https, or http that never leaves this machine; no credentials, query or fragment. */
export function isTrustworthyUrl(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '') return false
  if (url.search !== '' || url.hash !== '') return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}
