/** Director: a host that runs IPVS and carries virtual services. */
import * as z from 'zod'
import { directorIpvsSchema } from './director-ipvs.ts'
import { directorSyncSchema } from './director-sync.ts'
import {
  addressesSchema,
  hostKeySchema,
  hostStateSchema,
  labelsSchema,
  nameSchema,
} from './shared-fields.ts'

export const directorSchema = z.strictObject({
  site: nameSchema,
  addresses: addressesSchema,
  labels: labelsSchema,
  publicKey: hostKeySchema,
  /** `drain`: all its destinations go to weight 0; `disabled`: it carries nothing. */
  state: hostStateSchema,
  /** Take over virtual services, addresses and devices that are wanted and stand there already, in place. */
  adopt: z.boolean().default(false),
  /**
   * Make paths on which real servers can be probed as clients reach them, and watch their MTU: one firewall-mark service
   * for each way to a real server, and accept_local where the answers come in.
   */
  probes: z.boolean().default(true),
  /** Settings of IPVS itself. */
  ipvs: directorIpvsSchema.prefault({}),
  /** Connection sync with another director. */
  sync: directorSyncSchema.nullable().default(null),
})
