/**
 * The calls between agent and API. Agents pull; every answer may be lost, late or doubled.
 *
 * POST /v1/enrol/challenge  what an AWS identity or a declared key signs                -> challenge
 * POST /v1/enrol         EnrolRequest, no identity yet: a proof buys one.          -> EnrolAnswer | 202 pending
 * POST /v1/agent/token   RFC 7523 client assertion (EdDSA JWT)                      -> TokenAnswer
 * POST /v1/agent/rotate-key  Bearer; RotateKeyRequest                             -> 204
 * GET  /v1/agent/state   Bearer; If-None-Match; ?have=EPOCH.GENERATION&wait=SECONDS -> state document | 304
 * POST /v1/agent/report  Bearer; StatusReport                                       -> 204
 *   with ?held=ETAG, and have and wait as for GET state: the report, and then the next state -> state document | 204
 *
 * Errors are problem+json (RFC 9457) with a `code` from the API's closed list.
 *
 * Either end may be one minor version newer (version.ts): fields that one does not know are ignored, never refused, and
 * a field that is new is optional to its reader. `test/flow/wire-skew.test.ts` holds each message to that.
 */
import * as z from 'zod'
import { capabilitiesSchema } from './capabilities.ts'
import { healthReportSchema } from './check.ts'
import { doctorSummarySchema } from './doctor.ts'
import { drainProgressSchema } from './drain.ts'
import { publicKeySchema } from './host-identity.ts'
import { ipSchema } from './ipvs.ts'
import { roleSchema } from './host-state.ts'
import { HELD_TEXT_MAX, REPORT_LIST_MAX } from './report-limits.ts'
import { weighedDestinationSchema, weightFactorSchema } from './policy.ts'
import { listUpTo, naturalSchema, positiveSchema, textUpTo } from './shapes.ts'

/** Seconds; answers of GET state carry it in the header `lvs-poll-seconds`: how long to wait before the next poll. */
export const POLL_SECONDS_HEADER = 'lvs-poll-seconds'
export const STATE_MEDIA_TYPE = 'application/vnd.lvsfleet.state'
export const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** Signed by the new key to prove that the host holds it; `secret` is the join token or else the challenge. */
export function enrolProofText(secret: string): string {
  return `lvsfleet-enrol:${secret}`
}

/** Header that carries the challenge within a signed AWS request, and the one that carries the thumbprint of the host's key. */
export const AWS_CHALLENGE_HEADER = 'x-lvsfleet-challenge'
export const AWS_KEY_HEADER = 'x-lvsfleet-key'
/** What the host signs and the API sends to STS; the API never sends another body. */
export const GET_CALLER_IDENTITY = 'Action=GetCallerIdentity&Version=2011-06-15'

/**
 * Headers of a `POST /` with the body GET_CALLER_IDENTITY to an STS host, signed by SigV4. A list, not a record, so
 * that a name that stands twice is seen. Method, URL and body need not be told: only these are ever sent, and who tells
 * others is refused, where other fields that are unknown would be those of a newer agent.
 */
export const awsProofSchema = z.object({
  headers: listUpTo(z.tuple([textUpTo(100), textUpTo(4_096)]), 20),
  method: z.optional(z.literal('POST')),
  url: z.optional(z.literal('/')),
  body: z.optional(z.literal(GET_CALLER_IDENTITY)),
})
export type AwsProof = z.infer<typeof awsProofSchema>

/**
 * A way in is a join token; or a challenge with an AWS identity; or a challenge alone, with a public key that
 * was declared beforehand. Role and name may be left out where the way in says them.
 */
export const enrolRequestSchema = z
  .object({
    /** `lvsj_<id>_<secret>`. */
    token: z.optional(textUpTo(200)),
    /** From POST /v1/enrol/challenge; good once. */
    challenge: z.optional(textUpTo(100)),
    aws: z.optional(awsProofSchema),
    role: z.optional(roleSchema),
    /** The director or real server this host is, or is to become. */
    name: z.optional(textUpTo(63)),
    publicKey: publicKeySchema,
    /** Addresses the host would declare; used only when enrolment creates the resource. */
    addresses: listUpTo(ipSchema, 64),
    /** Signature by the new key over `enrolProofText`, base64url. */
    proof: textUpTo(200),
    machineId: textUpTo(128),
  })
  .check(
    z.refine(({ token, challenge }) => (token === undefined) !== (challenge === undefined), {
      error: 'needs either a token or a challenge',
    }),
    z.refine(({ token, aws }) => token === undefined || aws === undefined, {
      error: 'an AWS identity goes with a challenge, not with a token',
    }),
  )
export type EnrolRequest = z.infer<typeof enrolRequestSchema>

export const challengeAnswerSchema = z.object({
  /** 32 random bytes, base64url. */
  challenge: z.string(),
  expiresInSeconds: z.int(),
})

/** A person must let this host in: ask again with the same key. */
export const enrolPendingSchema = z.object({
  pending: z.string(),
  retryAfterSeconds: positiveSchema,
})

/** What the old and the new key of a host both sign. */
export function rotationText(hostId: string, oldThumbprint: string, newThumbprint: string): string {
  return `lvsfleet-rotate:${hostId}:${oldThumbprint}:${newThumbprint}`
}

export const rotateKeyRequestSchema = z.object({
  publicKey: publicKeySchema,
  /** Signatures over `rotationText`, base64url. */
  oldProof: textUpTo(200),
  newProof: textUpTo(200),
})
export type RotateKeyRequest = z.infer<typeof rotateKeyRequestSchema>

/** Claim of an assertion: `{prev, next}`, by which a copy of the host is noticed. */
export const CHAIN_CLAIM = 'lvs_chain'

/** Lists that a token answer carries at most: the newest. */
export const KEY_LISTS_MAX = 32

export const tokenRequestSchema = z.object({
  grant_type: z.literal('client_credentials'),
  client_assertion_type: z.literal(JWT_BEARER),
  client_assertion: textUpTo(4_096),
})

export const tokenAnswerSchema = z.object({
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  expires_in: positiveSchema,
  /** Signed key lists, oldest first; absent while there was never more than one key. */
  key_lists: z.optional(listUpTo(z.string(), KEY_LISTS_MAX)),
})
export type TokenAnswer = z.infer<typeof tokenAnswerSchema>

const versionSchema = z.object({
  epoch: positiveSchema,
  generation: positiveSchema,
  digest: z.string(),
})

/** Why a published state is not applied. Closed list: operators filter and alert on it. */
export const REJECTION_CODES = [
  'shrink-held',
  'older-generation',
  'wrong-host',
  'bad-signature',
  'bad-digest',
  'unknown-format',
  'unreadable',
  /** The agent died again and again on it; the state before is in force. */
  'quarantined',
] as const
export const rejectionSchema = z.object({
  code: z.enum(REJECTION_CODES),
  detail: textUpTo(2_000),
  epoch: z.nullable(z.int()),
  generation: z.nullable(z.int()),
})
export type Rejection = z.infer<typeof rejectionSchema>

/** One op that did not work: `conflict` = the object is there and not ours. */
export const failedOpSchema = z.object({
  op: textUpTo(400),
  code: textUpTo(40),
  message: textUpTo(400),
})
export type FailedOp = z.infer<typeof failedOpSchema>

/** One repair of something that changed behind our back. */
export const driftSchema = z.object({ at: z.string(), op: textUpTo(400) })
export type Drift = z.infer<typeof driftSchema>

export const drainSchema = z.object({
  service: z.string(),
  destination: z.string(),
  /** Seconds until it is removed whatever is left. */
  remainingSeconds: naturalSchema,
  connections: naturalSchema,
  /** Name of the drain that an operator asked for; absent where the destination left the state. */
  drain: z.optional(z.string()),
})
export type Drain = z.infer<typeof drainSchema>

/** A path on which packets of the computed size vanish, though smaller ones arrive. */
export const narrowPathSchema = z.object({
  realServer: textUpTo(63),
  /** `ipv4 to 10.2.0.11 by tun ipip`. */
  path: textUpTo(120),
  /** The VIP that was asked. */
  vip: textUpTo(45),
  /** Bytes of the largest IP packet: as computed from the intent, and as measured. */
  mtu: z.int(),
  carries: z.int(),
})
export type NarrowPath = z.infer<typeof narrowPathSchema>

/** What measuring the paths of a director found; those that nobody measured yet count nowhere. */
export const pathReportSchema = z.object({
  narrow: listUpTo(narrowPathSchema, REPORT_LIST_MAX),
  narrowCount: naturalSchema,
  /** They carry what was computed. */
  fittingCount: naturalSchema,
  /** Nothing at all came back: filtered, or the VIP is missing there. Says nothing about the MTU. */
  unknownCount: naturalSchema,
})
export type PathReport = z.infer<typeof pathReportSchema>

/** A weight that became another one though intent did not change it. */
export const weightChangeSchema = z.object({
  /** Of all changes of this life of the agent, the first is 1. */
  number: positiveSchema,
  /** ISO 8601, by the director's clock. */
  at: z.string(),
  service: z.string(),
  destination: z.string(),
  realServer: z.string(),
  from: naturalSchema,
  to: naturalSchema,
  /** What `to` is made of; empty where it is intent's again. */
  factors: z.array(weightFactorSchema),
})
export type WeightChange = z.infer<typeof weightChangeSchema>

export const weightChangesSchema = z.object({
  /** ISO 8601: when this life of the agent began to count. */
  since: z.string(),
  count: naturalSchema,
  /** Those that no report listed: more at once, or between two reports, than one carries. */
  droppedCount: naturalSchema,
  /** Oldest first; those that a report was acknowledged for are listed no more. */
  list: listUpTo(weightChangeSchema, REPORT_LIST_MAX),
})
export type WeightChanges = z.infer<typeof weightChangesSchema>

export const statusReportSchema = z.object({
  /** Grows by one for each report of this identity; an older one is ignored. */
  seq: positiveSchema,
  bootId: textUpTo(64),
  agentVersion: textUpTo(40),
  kernelVersion: textUpTo(120),
  /** Where the state in force came from. */
  source: z.enum(['none', 'disk', 'control-plane', 'file']),
  applied: z.nullable(versionSchema),
  rejected: z.nullable(rejectionSchema),
  /** Why an operator stopped the agent on the host itself; null = it applies what is published. */
  held: z._default(z.nullable(textUpTo(HELD_TEXT_MAX)), null),
  counts: z.object({ services: z.int(), destinations: z.int() }),
  failedOps: listUpTo(failedOpSchema, REPORT_LIST_MAX),
  failedOpCount: naturalSchema,
  drift: listUpTo(driftSchema, REPORT_LIST_MAX),
  /** Repairs since the agent's identity was made; expected flat. */
  driftCount: naturalSchema,
  drains: listUpTo(drainSchema, REPORT_LIST_MAX),
  drainCount: naturalSchema,
  /** Of each drain that an operator asked for; those that are over too, while they stand. */
  drainProgress: z._default(listUpTo(drainProgressSchema, REPORT_LIST_MAX), []),
  /** Destinations whose weight in the kernel is not intent's, and why. */
  weights: z._default(listUpTo(weighedDestinationSchema, REPORT_LIST_MAX), []),
  weightCount: z._default(naturalSchema, 0),
  /** What became of weights since; null where none ever changed, and from agents that do not say. */
  weightChanges: z._default(z.nullable(weightChangesSchema), null),
  /** What the host's kernel can; null until it was tried. */
  capabilities: z._default(z.nullable(capabilitiesSchema), null),
  /** What the cheap checks of the doctor found last; null until they ran. */
  doctor: z._default(z.nullable(doctorSummarySchema), null),
  /** What the health checks of a director say; null where there are none. */
  health: z._default(z.nullable(healthReportSchema), null),
  /** Null where no path was measured. */
  paths: z._default(z.nullable(pathReportSchema), null),
})
export type StatusReport = z.infer<typeof statusReportSchema>
