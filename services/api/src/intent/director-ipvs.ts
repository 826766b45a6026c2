/**
 * What an operator may say of IPVS itself on one director: idle timeouts and sysctls of its network namespace
 * (net.ipv4.vs.*, Documentation/networking/ipvs-sysctl.rst). Null leaves a value alone, or to the rule named here.
 */
import { TIMEOUT_SECONDS_MAX } from '@lvs-fleet/contract'
import * as z from 'zod'

const timeoutSchema = z.int().min(0).max(TIMEOUT_SECONDS_MAX).default(0)
const switchSchema = z.boolean().nullable().default(null)

export const directorIpvsSchema = z.strictObject({
  /** Idle seconds after which the director forgets a connection; 0 leaves the kernel's: 900, 120 and 300. */
  timeouts: z
    .strictObject({
      /** Shorter than what clients keep idle, and they are cut without a word. */
      tcpSeconds: timeoutSchema,
      tcpFinSeconds: timeoutSchema,
      udpSeconds: timeoutSchema,
    })
    .prefault({}),
  /**
   * What happens when a client comes back with a port that is still known: 0 same real server, even one that
   * drains; 1 scheduled anew; 2 also out of FIN_WAIT. Null: 2 on directors that use DR or TUN.
   */
  connReuseMode: z.int().min(0).max(3).nullable().default(null),
  /** End the connections of a destination that is gone, so that clients hear of it. Cuts flows while others drain. */
  expireNodestConn: switchSchema,
  /** Known clients of a destination at weight 0 are scheduled anew. Null: on where a virtual service is persistent, since it would never drain otherwise. */
  expireQuiescentTemplate: switchSchema,
  /** Netfilter's connection tracking for IPVS packets: needed by SNAT, costs speed. */
  conntrack: switchSchema,
  /** Take over TCP connections in mid-stream: for failover by hashing schedulers. Concerns every service of the director. */
  sloppyTcp: switchSchema,
  sloppySctp: switchSchema,
  /** Schedule nothing while the backup daemon runs: for standby directors that are real servers too. */
  backupOnly: switchSchema,
  /** Do not schedule what came out of a tunnel: for directors that are real servers of each other. */
  ignoreTunneled: switchSchema,
  /** Packets until a connection is synced the first time, and between further times. The kernel has 3 and 50. */
  syncThreshold: z
    .strictObject({ packets: z.int().min(0).max(65_535), period: z.int().min(0).max(65_535) })
    .refine(({ packets, period }) => period === 0 || packets < period, {
      error: 'needs packets below period, which the kernel demands',
    })
    .nullable()
    .default(null),
  /** Seconds between messages about a connection that does not change; 0 = by packets alone. */
  syncRefreshPeriodSeconds: z.int().min(0).max(86_400).nullable().default(null),
  /** Messages that repeat one change, within the refresh period. */
  syncRetries: z.int().min(0).max(3).nullable().default(null),
  /** Threads and ports of the sync daemon, from its port upwards: equal in the pair. */
  syncPorts: z.literal([1, 2, 4, 8, 16, 32, 64]).nullable().default(null),
  /** Sync only the templates of persistent services, not their connections. */
  syncPersistMode: switchSchema,
  /** Messages that may wait to be sent. */
  syncQueueMax: z.int().min(1).max(1_000_000).nullable().default(null),
  /** Bytes of the daemons' socket buffers; 0 = the kernel's. */
  syncSocketBytes: z.int().min(0).max(1_000_000_000).nullable().default(null),
})
export type DirectorIpvs = z.output<typeof directorIpvsSchema>
