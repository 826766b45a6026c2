/** Real server: a host that answers. It exists once in the fleet, whatever pools list it. */
import { tunnelTypeSchema } from '@lvs-fleet/contract'
import * as z from 'zod'
import { addressesSchema, hostStateSchema, labelsSchema, nameSchema } from './shared-fields.ts'

export const realServerSchema = z.strictObject({
  site: nameSchema,
  addresses: addressesSchema,
  labels: labelsSchema,
  /** `drain`: weight 0 on every director; `disabled`: drained, then removed everywhere. */
  state: hostStateSchema,
  /** Tunnel types it can decapsulate; empty = none. */
  decapsulates: z.array(tunnelTypeSchema).max(8).default(['ipip']),
  /** The director that its replies return through (its default gateway): makes NAT possible there. */
  gateway: nameSchema.nullable().default(null),
  /** Take over addresses and devices that are wanted and stand there already. */
  adopt: z.boolean().default(false),
})
