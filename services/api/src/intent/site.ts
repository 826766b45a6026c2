/** Site: a place with directors and real servers, its L2 networks, and the MTU of the paths that leave it. */
import { parseCidr, type Cidr } from '@lvs-fleet/contract'
import * as z from 'zod'
import { labelsSchema, nameSchema } from './shared-fields.ts'

/** MTU of a path between sites where nothing else is said: Ethernet's. */
export const DEFAULT_MTU = 1500

/** `10.1.0.0/24` or `fd01::/64`; host bits must be zero. */
export const cidrSchema = z.string().transform((text, ctx): Cidr => {
  const parsed = parseCidr(text)
  if (parsed !== undefined) return parsed
  ctx.addIssue({ code: 'custom', message: 'is not a network such as 10.1.0.0/24 (host bits zero)' })
  return z.NEVER
})

/** Bytes of the largest IP packet. 1280 is the least that IPv6 allows (RFC 8200), 576 IPv4's (RFC 791). */
const mtuSchema = z.int().min(576).max(65_535).default(DEFAULT_MTU)

/** An L2 segment: hosts with addresses in one of its CIDRs reach each other without a router. */
export const networkSchema = z.strictObject({
  name: nameSchema,
  cidrs: z.array(cidrSchema).min(1).max(16),
  mtu: mtuSchema,
})

export const siteSchema = z.strictObject({
  labels: labelsSchema,
  /** `drain`: no real server of this site takes new connections, from any director. */
  state: z.enum(['active', 'drain']).default('active'),
  networks: z.array(networkSchema).max(64).default([]),
  /** Paths to other sites; one direction is enough. */
  paths: z
    .array(
      z.strictObject({
        to: nameSchema,
        /** Where both directions say one, the smaller counts. */
        mtu: mtuSchema,
        /** For policies that order sites by `path-cost`; where both directions say one, this site's own counts. */
        cost: z.int().min(1).max(65_535).nullable().default(null),
      }),
    )
    .max(256)
    .default([]),
})
