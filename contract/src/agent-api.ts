/**
 * The calls between agent and API. Agents pull; every answer may be lost, late or doubled.
 *
 * POST /v1/enrol/challenge  what an AWS identity or a declared key signs                -> challenge
 * POST /v1/enrol         EnrolRequest, no identity yet: a proof buys one.          -> EnrolAnswer | 202 pending
 * POST /v1/agent/token   RFC 7523 client assertion (EdDSA JWT)                      -> TokenAnswer
 * POST /v1/agent/rotate-key  Bearer; RotateKeyRequest                             -> 204
 * GET  /v1/agent/state   Bearer; If-None-Match; ?have=EPOCH.GENERATION&wait=SECONDS -> state document | 304
 * POST /v1/agent/report  Bearer; StatusReport                                       -> 204
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
import { ipSchema } from './ipvs.ts'
import { roleSchema } from './host-state.ts'
import { weighedDestinationSchema, weightFactorSchema } from './policy.ts'

/** Seconds; answers of GET state carry it in the header `lvs-poll-seconds`: how long to wait before the next poll. */
export const POLL_SECONDS_HEADER = 'lvs-poll-seconds'
export const STATE_MEDIA_TYPE = 'application/vnd.lvsfleet.state'
export const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** An Ed25519 public key, RFC 8037. */
export const publicKeySchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
})
export type PublicKey = z.infer<typeof publicKeySchema>

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
  headers: z.array(z.tuple([z.string().max(100), z.string().max(4_096)])).max(20),
  method: z.literal('POST').optional(),
  url: z.literal('/').optional(),
  body: z.literal(GET_CALLER_IDENTITY).optional(),
})
export type AwsProof = z.infer<typeof awsProofSchema>

/**
 * A way in is a join token; or a challenge with an AWS identity; or a challenge alone, with a public key that
 * was declared beforehand. Role and name may be left out where the way in says them.
 */
export const enrolRequestSchema = z
  .object({
    /** `lvsj_<id>_<secret>`. */
    token: z.string().max(200).optional(),
    /** From POST /v1/enrol/challenge; good once. */
    challenge: z.string().max(100).optional(),
    aws: awsProofSchema.optional(),
    role: roleSchema.optional(),
    /** The director or real server this host is, or is to become. */
    name: z.string().max(63).optional(),
    publicKey: publicKeySchema,
    /** Addresses the host would declare; used only when enrolment creates the resource. */
    addresses: z.array(ipSchema).max(64),
    /** Signature by the new key over `enrolProofText`, base64url. */
    proof: z.string().max(200),
    machineId: z.string().max(128),
  })
  .refine(({ token, challenge }) => (token === undefined) !== (challenge === undefined), {
    error: 'needs either a token or a challenge',
  })
  .refine(({ token, aws }) => token === undefined || aws === undefined, {
    error: 'an AWS identity goes with a challenge, not with a token',
  })
export type EnrolRequest = z.infer<typeof enrolRequestSchema>

export const challengeAnswerSchema = z.object({
  /** 32 random bytes, base64url. */
  challenge: z.string(),
  expiresInSeconds: z.int(),
})

/** A person must let this host in: ask again with the same key. */
export const enrolPendingSchema = z.object({
  pending: z.string(),
  retryAfterSeconds: z.int().min(1),
})

export const enrolAnswerSchema = z.object({
  hostId: z.string(),
  name: z.string(),
  role: roleSchema,
  site: z.string(),
  /** Audience of the agent's assertions: the API's configured name. */
  audience: z.string(),
  /** Keys that sign states. The agent trusts these and no others. */
  controllerKeys: z.array(publicKeySchema).min(1),
  /** Serial of the list that these keys are from; absent or 0 = the keys of the beginning. */
  keySerial: z.int().min(0).optional(),
})
export type EnrolAnswer = z.infer<typeof enrolAnswerSchema>

/** What the old and the new key of a host both sign. */
export function rotationText(hostId: string, oldThumbprint: string, newThumbprint: string): string {
  return `lvsfleet-rotate:${hostId}:${oldThumbprint}:${newThumbprint}`
}

export const rotateKeyRequestSchema = z.object({
  publicKey: publicKeySchema,
  /** Signatures over `rotationText`, base64url. */
  oldProof: z.string().max(200),
  newProof: z.string().max(200),
})
export type RotateKeyRequest = z.infer<typeof rotateKeyRequestSchema>

/** Claim of an assertion: `{prev, next}`, by which a copy of the host is noticed. */
export const CHAIN_CLAIM = 'lvs_chain'

/**
 * Which keys sign states from now on: the payload of a JWS by a key of the list before. The constant keeps it apart
 * from all else that these keys sign.
 */
export const keyListSchema = z.object({
  purpose: z.literal('lvsfleet-controller-keys'),
  /** An agent takes only a higher one than it has. */
  serial: z.int().min(1),
  keys: z.array(publicKeySchema).min(1).max(8),
})
export type KeyList = z.infer<typeof keyListSchema>

/** Lists that a token answer carries at most: the newest. */
export const KEY_LISTS_MAX = 32

export const tokenRequestSchema = z.object({
  grant_type: z.literal('client_credentials'),
  client_assertion_type: z.literal(JWT_BEARER),
  client_assertion: z.string().max(4_096),
})

export const tokenAnswerSchema = z.object({
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  expires_in: z.int().min(1),
  /** Signed key lists, oldest first; absent while there was never more than one key. */
  key_lists: z.array(z.string()).max(KEY_LISTS_MAX).optional(),
})
export type TokenAnswer = z.infer<typeof tokenAnswerSchema>

const versionSchema = z.object({
  epoch: z.int().min(1),
  generation: z.int().min(1),
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
  detail: z.string().max(2_000),
  epoch: z.int().nullable(),
  generation: z.int().nullable(),
})
export type Rejection = z.infer<typeof rejectionSchema>

/** One op that did not work: `conflict` = the object is there and not ours. */
export const failedOpSchema = z.object({
  op: z.string().max(400),
  code: z.string().max(40),
  message: z.string().max(400),
})
export type FailedOp = z.infer<typeof failedOpSchema>

/** One repair of something that changed behind our back. */
export const driftSchema = z.object({ at: z.string(), op: z.string().max(400) })
export type Drift = z.infer<typeof driftSchema>

export const drainSchema = z.object({
  service: z.string(),
  destination: z.string(),
  /** Seconds until it is removed whatever is left. */
  remainingSeconds: z.int().min(0),
  connections: z.int().min(0),
  /** Name of the drain that an operator asked for; absent where the destination left the state. */
  drain: z.string().optional(),
})
export type Drain = z.infer<typeof drainSchema>

/** A path on which packets of the computed size vanish, though smaller ones arrive. */
export const narrowPathSchema = z.object({
  realServer: z.string().max(63),
  /** `ipv4 to 10.2.0.11 by tun ipip`. */
  path: z.string().max(120),
  /** The VIP that was asked. */
  vip: z.string().max(45),
  /** Bytes of the largest IP packet: as computed from the intent, and as measured. */
  mtu: z.int(),
  carries: z.int(),
})
export type NarrowPath = z.infer<typeof narrowPathSchema>

/** How many of each list a report carries at most; totals are counted apart. */
export const REPORT_LIST_MAX = 100

export const HELD_TEXT_MAX = 200

/** What measuring the paths of a director found; those that nobody measured yet count nowhere. */
export const pathReportSchema = z.object({
  narrow: z.array(narrowPathSchema).max(REPORT_LIST_MAX),
  narrowCount: z.int().min(0),
  /** They carry what was computed. */
  fittingCount: z.int().min(0),
  /** Nothing at all came back: filtered, or the VIP is missing there. Says nothing about the MTU. */
  unknownCount: z.int().min(0),
})
export type PathReport = z.infer<typeof pathReportSchema>

/** A weight that became another one though intent did not change it. */
export const weightChangeSchema = z.object({
  /** Of all changes of this life of the agent, the first is 1. */
  number: z.int().min(1),
  /** ISO 8601, by the director's clock. */
  at: z.string(),
  service: z.string(),
  destination: z.string(),
  realServer: z.string(),
  from: z.int().min(0),
  to: z.int().min(0),
  /** What `to` is made of; empty where it is intent's again. */
  factors: z.array(weightFactorSchema),
})
export type WeightChange = z.infer<typeof weightChangeSchema>

export const weightChangesSchema = z.object({
  /** ISO 8601: when this life of the agent began to count. */
  since: z.string(),
  count: z.int().min(0),
  /** Those that no report listed: more at once, or between two reports, than one carries. */
  droppedCount: z.int().min(0),
  /** Oldest first; those that a report was acknowledged for are listed no more. */
  list: z.array(weightChangeSchema).max(REPORT_LIST_MAX),
})
export type WeightChanges = z.infer<typeof weightChangesSchema>

export const statusReportSchema = z.object({
  /** Grows by one for each report of this identity; an older one is ignored. */
  seq: z.int().min(1),
  bootId: z.string().max(64),
  agentVersion: z.string().max(40),
  kernelVersion: z.string().max(120),
  /** Where the state in force came from. */
  source: z.enum(['none', 'disk', 'control-plane', 'file']),
  applied: versionSchema.nullable(),
  rejected: rejectionSchema.nullable(),
  /** Why an operator stopped the agent on the host itself; null = it applies what is published. */
  held: z.string().max(HELD_TEXT_MAX).nullable().default(null),
  counts: z.object({ services: z.int(), destinations: z.int() }),
  failedOps: z.array(failedOpSchema).max(REPORT_LIST_MAX),
  failedOpCount: z.int().min(0),
  drift: z.array(driftSchema).max(REPORT_LIST_MAX),
  /** Repairs since the agent's identity was made; expected flat. */
  driftCount: z.int().min(0),
  drains: z.array(drainSchema).max(REPORT_LIST_MAX),
  drainCount: z.int().min(0),
  /** Of each drain that an operator asked for; those that are over too, while they stand. */
  drainProgress: z.array(drainProgressSchema).max(REPORT_LIST_MAX).default([]),
  /** Destinations whose weight in the kernel is not intent's, and why. */
  weights: z.array(weighedDestinationSchema).max(REPORT_LIST_MAX).default([]),
  weightCount: z.int().min(0).default(0),
  /** What became of weights since; null where none ever changed, and from agents that do not say. */
  weightChanges: weightChangesSchema.nullable().default(null),
  /** What the host's kernel can; null until it was tried. */
  capabilities: capabilitiesSchema.nullable().default(null),
  /** What the cheap checks of the doctor found last; null until they ran. */
  doctor: doctorSummarySchema.nullable().default(null),
  /** What the health checks of a director say; null where there are none. */
  health: healthReportSchema.nullable().default(null),
  /** Null where no path was measured. */
  paths: pathReportSchema.nullable().default(null),
})
export type StatusReport = z.infer<typeof statusReportSchema>
