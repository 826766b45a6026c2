/** Fields that several kinds of intent share: names, labels, states, lists of addresses. */
import { ipSchema, publicKeySchema } from '@lvs-fleet/contract'
import * as z from 'zod'

/** The key of an object: a DNS label (RFC 1123), so that it fits host names, URLs and log fields. */
export const nameSchema = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, {
  error: 'must be 1 to 63 lower-case letters, digits or dashes, not starting or ending with a dash',
})

const labelPart = /^[a-zA-Z0-9]([a-zA-Z0-9._/-]{0,62})$/

/** Free key-value pairs that selectors match on. At most 32. */
export const labelsSchema = z
  .record(
    z.string().regex(labelPart, { error: 'a label key is 1 to 63 letters, digits, . _ / or -' }),
    z.string().max(63),
  )
  .refine((labels) => Object.keys(labels).length <= 32, { error: 'at most 32 labels' })
  .default({})

/** `active` takes new connections; `drain` keeps what it has (weight 0); `disabled` is taken out. */
export const hostStateSchema = z.enum(['active', 'drain', 'disabled']).default('active')

/** Labels that something must have, all of them: at least one, because none would match everything. */
export const selectorLabelsSchema = labelsSchema
  .unwrap()
  .refine((labels) => Object.keys(labels).length > 0, { error: 'needs at least one label' })

/** The key that the host made (`lvsfleet-agent key`): whoever holds it enrols as this host with nothing else. */
export const hostKeySchema = z.strictObject(publicKeySchema.shape).nullable().default(null)

/** The host's own addresses: at least one, without duplicates. The first of each family is preferred. */
export const addressesSchema = z
  .array(ipSchema)
  .min(1, { error: 'needs at least one address' })
  .max(64)
  .refine((list) => new Set(list).size === list.length, { error: 'has an address twice' })
