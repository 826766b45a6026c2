/**
 * Connection sync between two directors of one network: the kernel sends what it knows of connections by
 * multicast, so that the other can go on with them. Neither authenticated nor encrypted, and never routed.
 */
import { ipSchema, portSchema } from '@lvs-fleet/contract'
import * as z from 'zod'
import { nameSchema } from './shared-fields.ts'

export const directorSyncSchema = z
  .strictObject({
    /** The other director of the pair; it says the same of this one. */
    with: nameSchema,
    /** The site's network that carries it, by an address that the director has there. */
    network: nameSchema.nullable().default(null),
    /** Instead of a network: the name of the interface. */
    interface: z
      .string()
      .regex(/^[a-zA-Z0-9_.-]{1,15}$/, { error: 'is no interface name' })
      .nullable()
      .default(null),
    /** Equal in the pair, and different from other pairs of the network. */
    syncId: z.int().min(0).max(255),
    /** `master` sends, `backup` receives, `both` does both: for pairs that each carry some VIPs. */
    role: z.enum(['master', 'backup', 'both']),
    /** Multicast group; the kernel's own when nothing is said (IP_VS_SYNC_GROUP). */
    group: ipSchema
      .prefault('224.0.0.81')
      .refine(isMulticast, { error: 'is no multicast address' }),
    /** UDP port (IP_VS_SYNC_PORT). */
    port: portSchema.default(8848),
    ttl: z.int().min(1).max(255).default(1),
    /** Bytes of one message; null = what the MTU of the interface gives. */
    maxlen: z.int().min(1_400).max(65_000).nullable().default(null),
  })
  .refine((sync) => (sync.network === null) !== (sync.interface === null), {
    error: 'needs a network or an interface, and not both',
  })

/** 224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291). */
function isMulticast(group: string): boolean {
  return group.includes(':') ? group.startsWith('ff') : /^2(2[4-9]|3\d)\./.test(group)
}
