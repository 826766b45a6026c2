/** Pool: real servers that serve the same thing, listed or selected by labels, shared by virtual services. */
import { LEVELS_MAX, portSchema, TUNNEL_TYPES, weightSchema } from '@lvs-fleet/contract'
import * as z from 'zod'
import { checkSchema } from './check.ts'
import { policySchema } from './policy.ts'
import { quorumSchema } from './quorum.ts'
import { labelsSchema, nameSchema } from './shared-fields.ts'

/** What an operator may ask for; `local` is an effect of the kernel and never asked. */
export const forwardingRequestSchema = z.enum(['auto', 'nat', 'dr', 'tun'])
export type ForwardingRequest = z.infer<typeof forwardingRequestSchema>

/** Which tunnel TUN takes; `auto`: the first of the real server's own list that the path carries. */
export const tunnelRequestSchema = z.enum(['auto', ...TUNNEL_TYPES])
export type TunnelRequest = z.infer<typeof tunnelRequestSchema>

/** Share of new connections when nothing is said. 100 leaves room to go down in steps of a percent. */
export const DEFAULT_WEIGHT = 100

/** Connections; 0 = no limit. */
const thresholdSchema = z.int().min(0).max(10_000_000).default(0)

export const memberSchema = z.strictObject({
  realServer: nameSchema,
  weight: weightSchema.default(DEFAULT_WEIGHT),
  /** Port on the real server; the virtual service's own when null. Only NAT can translate it. */
  port: portSchema.nullable().default(null),
  /** Overrides the virtual service's forwarding for this member. */
  forwarding: forwardingRequestSchema.nullable().default(null),
  /** Overrides the virtual service's tunnel for this member. */
  tunnel: tunnelRequestSchema.nullable().default(null),
  upperThreshold: thresholdSchema,
  lowerThreshold: thresholdSchema,
  /** Level of this member on every director, instead of the one that the policy's `levels` give; 0 is first. */
  level: z
    .int()
    .min(0)
    .max(LEVELS_MAX - 1)
    .nullable()
    .default(null),
})
export type Member = z.output<typeof memberSchema>

export const poolSchema = z.strictObject({
  labels: labelsSchema,
  members: z.array(memberSchema).max(4_096).default([]),
  /** Adds every real server that has all these labels, at this weight; a listed member wins over it. */
  selector: z
    .strictObject({
      matchLabels: labelsSchema.refine((labels) => Object.keys(labels).length > 0, {
        error: 'needs at least one label, else it would select every real server',
      }),
      weight: weightSchema.default(DEFAULT_WEIGHT),
    })
    .nullable()
    .default(null),
  /** How directors find out which members answer; null = nobody looks. */
  check: checkSchema.nullable().default(null),
  /** When most directors find a member down, all take it for down; null = each trusts its own eyes. Needs a check. */
  quorum: quorumSchema.nullable().default(null),
  /** Levels, spill-over and slow start; null = one level, and directors look at weights and health alone. */
  policy: policySchema.nullable().default(null),
})
