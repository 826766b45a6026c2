/**
 * The closed lists of IPVS vocabulary that intent, host state, plan and codec share.
 * Names are the kernel's where the kernel has one (schedulers), the field's otherwise.
 */
import * as z from 'zod'
import { parseIp, type Ip } from './address.ts'
import { intBetween, textUpTo } from './shapes.ts'

export const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const
export const protocolSchema = z.enum(PROTOCOLS)
export type Protocol = z.infer<typeof protocolSchema>

/** Schedulers of Linux 6.1, net/netfilter/ipvs/Kconfig; `twos` is not built by every distribution. */
export const SCHEDULERS = [
  'rr',
  'wrr',
  'lc',
  'wlc',
  'lblc',
  'lblcr',
  'dh',
  'sh',
  'sed',
  'nq',
  'fo',
  'ovf',
  'mh',
  'twos',
] as const
export const schedulerSchema = z.enum(SCHEDULERS)
export type Scheduler = z.infer<typeof schedulerSchema>

/**
 * Those that give connections in proportion to weights. The others look at 0 or not 0 (rr, lc, dh, lblc, lblcr), at
 * the order of weights (fo), take them for numbers of connections (ovf), or have 256 places for all of them (sh).
 */
export const PROPORTIONAL_SCHEDULERS: ReadonlySet<Scheduler> = new Set([
  'wrr',
  'wlc',
  'sed',
  'nq',
  'mh',
  'twos',
])

/**
 * Flags of a virtual service in the kernel (include/uapi/linux/ip_vs.h): `one-packet` = 0x4;
 * `fallback` and `port` are IP_VS_SVC_F_SCHED1/2 as sh and mh read them.
 */
export const SERVICE_FLAGS = ['fallback', 'one-packet', 'port'] as const
export const serviceFlagSchema = z.enum(SERVICE_FLAGS)
export type ServiceFlag = z.infer<typeof serviceFlagSchema>

/** Persistence engines of Linux 6.1 (net/netfilter/ipvs/ip_vs_pe_sip.c): `sip` reads the Call-ID of SIP over UDP. */
export const PERSISTENCE_ENGINES = ['sip'] as const
export const persistenceEngineSchema = z.enum(PERSISTENCE_ENGINES)
export type PersistenceEngine = z.infer<typeof persistenceEngineSchema>

export const TUNNEL_TYPES = ['ipip', 'gre', 'gue'] as const
export const tunnelTypeSchema = z.enum(TUNNEL_TYPES)
export type TunnelType = z.infer<typeof tunnelTypeSchema>

/**
 * Checksum of a GUE packet (IP_VS_TUNNEL_ENCAP_FLAG_*): `none`; `csum`, that of UDP; `remcsum`, the inner one
 * moved into the outer header (remote checksum offload).
 */
export const GUE_CHECKSUMS = ['none', 'csum', 'remcsum'] as const
export const gueChecksumSchema = z.enum(GUE_CHECKSUMS)
export type GueChecksum = z.infer<typeof gueChecksumSchema>

/** Weights: 0 (quiesce) to 65535. The kernel takes more; schedulers multiply weights, so we do not. */
export const weightSchema = intBetween(0, 65_535)
export const portSchema = intBetween(1, 65_535)

/**
 * A tunnel with the options that the kernel has for its type (ip_vs_tunnel_xmit): ipip none, gre a checksum or
 * not, gue the port that the real server receives on and how it is summed.
 */
export const tunnelSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ipip') }),
  z.object({ type: z.literal('gre'), checksum: z.boolean() }),
  z.object({ type: z.literal('gue'), port: portSchema, checksum: gueChecksumSchema }),
])
export type Tunnel = z.infer<typeof tunnelSchema>

/** How one destination is reached in one director's kernel. `local` is an effect, never a request. */
export const forwardingSchema = z.discriminatedUnion('method', [
  z.object({ method: z.literal('nat') }),
  z.object({ method: z.literal('dr') }),
  z.object({ method: z.literal('tun'), tunnel: tunnelSchema }),
  z.object({ method: z.literal('local') }),
])
export type Forwarding = z.infer<typeof forwardingSchema>
export type ForwardingMethod = Forwarding['method']

/** An address that leaves the schema in canonical spelling. */
export const ipSchema = z.pipe(
  textUpTo(45),
  z.transform((text: string, ctx): Ip => {
    const parsed = parseIp(text)
    if (parsed !== undefined) return parsed
    ctx.issues.push({ code: 'custom', message: 'is not an IPv4 or IPv6 address', input: text })
    return z.NEVER
  }),
)

/** Marks of packets: 32 bits, of which 0 means none (IPVS_SVC_ATTR_FWMARK is a u32). */
export const firewallMarkSchema = intBetween(1, 0xffff_ffff)
