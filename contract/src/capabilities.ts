/**
 * Capabilities: what the kernel of one host really can, found by trying in a scratch network namespace.
 * The agent reports it, the compiler refuses what a director's kernel would refuse. `unknown` means that
 * nothing could be tried; it is never a refusal.
 */
import * as z from 'zod'
import { naturalSchema, textUpTo } from './shapes.ts'

export const VERDICTS = ['yes', 'no', 'unknown'] as const
export const verdictSchema = z.enum(VERDICTS)
export type Verdict = z.infer<typeof verdictSchema>

/** How IPVS may tunnel to a destination; wider than what this version can say, so that newer ones find it. */
export const PROBED_TUNNELS = ['ipip', 'gre', 'gue'] as const
export type ProbedTunnel = (typeof PROBED_TUNNELS)[number]

/** Devices that decapsulate (kinds of `ip link`), and listeners for UDP encapsulation in both families. */
export const DECAPSULATIONS = ['ipip', 'sit', 'ip6tnl', 'gre', 'ip6gre', 'fou', 'fou6'] as const
export type Decapsulation = (typeof DECAPSULATIONS)[number]

/** Open at the top: an older controller keeps what a newer agent found. A name that is missing is unknown. */
const verdictsSchema = z.record(textUpTo(20), verdictSchema)

export const capabilitiesSchema = z.object({
  kernelRelease: textUpTo(120),
  ipvs: verdictSchema,
  /** `1.2.1`; null when it could not be asked. */
  ipvsVersion: z.nullable(textUpTo(40)),
  /** Buckets of the connection table: not a limit, but above a few times this each packet costs more. */
  connectionTableSize: z.nullable(naturalSchema),
  schedulers: verdictsSchema,
  /** As IPVS destination, read back: old kernels take an unknown type without a word and use ipip. */
  tunnels: verdictsSchema,
  decapsulation: verdictsSchema,
  /** The connection sync daemon with group, port, ttl and packet size. */
  syncDaemon: verdictSchema,
  nftables: verdictSchema,
})
export type Capabilities = z.infer<typeof capabilitiesSchema>

/** Nothing could be tried. */
export function unknownCapabilities(kernelRelease: string): Capabilities {
  return {
    kernelRelease,
    ipvs: 'unknown',
    ipvsVersion: null,
    connectionTableSize: null,
    schedulers: {},
    tunnels: {},
    decapsulation: {},
    syncDaemon: 'unknown',
    nftables: 'unknown',
  }
}
