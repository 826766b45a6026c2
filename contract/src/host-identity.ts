/** Who a host is and whose states it believes: what enrolment gives and an agent keeps. Apart from the other calls, because each start reads it. */
import * as z from 'zod'
import { roleSchema } from './host-state.ts'
import { naturalSchema, positiveSchema } from './shapes.ts'

/** An Ed25519 public key, RFC 8037. */
export const publicKeySchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().check(z.regex(/^[A-Za-z0-9_-]{43}$/)),
})
export type PublicKey = z.infer<typeof publicKeySchema>

export const enrolAnswerSchema = z.object({
  hostId: z.string(),
  name: z.string(),
  role: roleSchema,
  site: z.string(),
  /** Audience of the agent's assertions: the API's configured name. */
  audience: z.string(),
  /** Keys that sign states. The agent trusts these and no others. */
  controllerKeys: z.array(publicKeySchema).check(z.minLength(1)),
  /** Serial of the list that these keys are from; absent or 0 = the keys of the beginning. */
  keySerial: z.optional(naturalSchema),
})
export type EnrolAnswer = z.infer<typeof enrolAnswerSchema>

/**
 * Which keys sign states from now on: the payload of a JWS by a key of the list before. The constant keeps it apart
 * from all else that these keys sign.
 */
export const keyListSchema = z.object({
  purpose: z.literal('lvsfleet-controller-keys'),
  /** An agent takes only a higher one than it has. */
  serial: positiveSchema,
  keys: z.array(publicKeySchema).check(z.minLength(1), z.maxLength(8)),
})
export type KeyList = z.infer<typeof keyListSchema>
