/** Real server: a host that answers. It exists once in the fleet, whatever pools list it. */
import { gueChecksumSchema, portSchema, tunnelTypeSchema } from '@lvs-fleet/contract'
import * as z from 'zod'
import {
  addressesSchema,
  hostKeySchema,
  hostStateSchema,
  labelsSchema,
  nameSchema,
} from './shared-fields.ts'

/** Where GUE goes when nothing is said; IANA's number for it (draft-ietf-intarea-gue). */
export const DEFAULT_GUE_PORT = 6080

export const realServerSchema = z.strictObject({
  site: nameSchema,
  addresses: addressesSchema,
  labels: labelsSchema,
  publicKey: hostKeySchema,
  /** `drain`: weight 0 on every director; `disabled`: drained, then removed everywhere. */
  state: hostStateSchema,
  /** Tunnel types it can decapsulate, the preferred one first; empty = none. */
  decapsulates: z
    .array(tunnelTypeSchema)
    .max(8)
    .refine((list) => new Set(list).size === list.length, { error: 'has a tunnel type twice' })
    .default(['ipip']),
  /**
   * Tunnel options belong to the end that takes the tunnel off. A GRE device takes packets with a checksum or
   * without, never both, and the kernel has one such device for each pair of ends.
   */
  gre: z.strictObject({ checksum: z.boolean().default(false) }).prefault({}),
  /** `checksum`: none, csum (that of UDP) or remcsum (remote checksum offload); it takes all three. */
  gue: z
    .strictObject({
      port: portSchema.default(DEFAULT_GUE_PORT),
      checksum: gueChecksumSchema.default('none'),
    })
    .prefault({}),
  /** The director that its replies return through (its default gateway): makes NAT possible there. */
  gateway: nameSchema.nullable().default(null),
  /**
   * How replies of NAT return to the director. `gateway`: by its default gateway, so NAT works from that director
   * only. `snat`: other directors put their own address in, and it sees them as its clients.
   */
  natReturn: z.enum(['gateway', 'snat']).default('gateway'),
  /** Take over addresses and devices that are wanted and stand there already. */
  adopt: z.boolean().default(false),
})
