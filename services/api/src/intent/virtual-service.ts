/** Virtual service: what clients address, how it is scheduled, which pool answers, who carries it. */
import {
  firewallMarkSchema,
  ipSchema,
  persistenceEngineSchema,
  protocolSchema,
  schedulerSchema,
  serviceFlagSchema,
} from '@lvs-fleet/contract'
import * as z from 'zod'
import { forwardingRequestSchema, tunnelRequestSchema } from './pool.ts'
import { portsSchema } from './ports.ts'
import { labelsSchema, nameSchema, selectorLabelsSchema } from './shared-fields.ts'

const unique = (list: readonly unknown[]) => new Set(list).size === list.length

export const virtualServiceSchema = z.strictObject({
  labels: labelsSchema,
  /** Who to ask about it; free text. */
  owner: z.string().max(200).nullable().default(null),
  /** Of the packets; where a firewall mark of your own names them, what they are for the most part. */
  protocol: protocolSchema.default('tcp'),
  vips: z
    .array(ipSchema)
    .min(1, { error: 'needs at least one VIP' })
    .max(64)
    .refine(unique, { error: 'has a VIP twice' }),
  /**
   * Ports (`80`) and ranges (`'8000-8999'`). Up to 16 become a kernel service each; more become one firewall-mark
   * service per address family, and the director marks their packets with nftables.
   */
  ports: portsSchema.default([]),
  /**
   * Instead of ports: packets that you mark yourself, in prerouting or before, whatever their protocol and port.
   * Marks 0x4c000000 to 0x4dffffff are those that LVS Fleet chooses.
   */
  firewallMark: firewallMarkSchema.nullable().default(null),
  /** `wlc` is also what ipvsadm takes when nothing is said. */
  scheduler: schedulerSchema.default('wlc'),
  /** Sorted on the way in, so that order makes no difference. */
  flags: z
    .array(serviceFlagSchema)
    .max(3)
    .default([])
    .transform((flags) => [...new Set(flags)].toSorted()),
  persistence: z
    .strictObject({
      timeoutSeconds: z
        .int()
        .min(1)
        .max(86_400 * 31),
      /** Leading bits of the client's address that count: 32 and 128 = each client alone. */
      prefixLengthIpv4: z.int().min(1).max(32).default(32),
      prefixLengthIpv6: z.int().min(1).max(128).default(128),
      /** `sip`: packets of one Call-ID stay together, if the leading bits of their source match too. For UDP. */
      engine: persistenceEngineSchema.nullable().default(null),
    })
    .nullable()
    .default(null),
  pool: nameSchema,
  forwarding: forwardingRequestSchema.default('auto'),
  /** The tunnel of those real servers that are reached by TUN. */
  tunnel: tunnelRequestSchema.default('auto'),
  /** Carried by every director of these sites, by these directors, and by those that have all of these labels. */
  carriedBy: z
    .strictObject({
      sites: z.array(nameSchema).max(256).default([]),
      directors: z.array(nameSchema).max(1_024).default([]),
      /** Absent = selects nobody. */
      labels: selectorLabelsSchema.optional(),
    })
    .refine(
      ({ sites, directors, labels }) => sites.length + directors.length > 0 || labels !== undefined,
      { error: 'names no site, no director and no labels, so nobody would carry it' },
    ),
  /** `address`: the agent puts the VIP on the director. `external`: VRRP, BGP or the operator does. */
  vipDelivery: z.enum(['address', 'external']).default('address'),
  /** Seconds that a removed destination may finish its connections at weight 0. */
  drainSeconds: z.int().min(0).max(86_400).default(300),
})
