/**
 * HostState: everything one host (director or real server) must look like, compiled and complete.
 * The API compiles it, the agent makes the kernel so. Each kind of object is split into the key that
 * names it in the kernel and what may be edited in place under that key.
 */
import * as z from 'zod'
import { checkStateSchema } from './check.ts'
import { compareIps, familyOf, FAMILIES, type Family, type Ip } from './address.ts'
import { drainStateSchema } from './drain.ts'
import {
  firewallMarkSchema,
  forwardingSchema,
  ipSchema,
  persistenceEngineSchema,
  portSchema,
  protocolSchema,
  schedulerSchema,
  serviceFlagSchema,
  weightSchema,
} from './ipvs.ts'
import {
  OVERRIDES_MAX,
  overrideStateSchema,
  placementSchema,
  policySchema,
  quorumStateSchema,
} from './policy.ts'
import { intBetween, listUpTo, naturalSchema, textUpTo } from './shapes.ts'

export const ROLES = ['director', 'real-server'] as const
export const roleSchema = z.enum(ROLES)
export type Role = z.infer<typeof roleSchema>

/** One destination of one virtual service. Key: address + port; the rest is edited in place. */
export const destinationStateSchema = z.object({
  realServer: z.string(),
  address: ipSchema,
  /** 0 where a firewall mark names the service: the port that the client asked for (ip_vs_schedule, ip_vs_core.c). */
  port: intBetween(0, 65_535),
  forwarding: forwardingSchema,
  weight: weightSchema,
  /** Connections; 0 = no limit. */
  upperThreshold: naturalSchema,
  lowerThreshold: naturalSchema,
  /** Keys of the checks that tell its health; absent = nobody checks it. */
  checks: z.optional(z.array(textUpTo(32))),
  /** Of destinations whose service has a policy. */
  placement: z.optional(placementSchema),
  /** The first that has not expired counts. */
  overrides: z.optional(listUpTo(overrideStateSchema, OVERRIDES_MAX)),
  /** Down by the quorum rule of its pool. */
  quorum: z.optional(quorumStateSchema),
  /** Its weight is 0 then, which is all that agents hear who do not know of drains. */
  drain: z.optional(drainStateSchema),
})
export type DestinationState = z.infer<typeof destinationStateSchema>

/** Client stickiness: idle seconds, and how many leading bits of the client's address count. */
export const persistenceStateSchema = z.object({
  timeoutSeconds: intBetween(1, 86_400 * 31),
  prefixLength: intBetween(1, 128),
  /** What else of a client's packets counts; null = nothing. */
  engine: z.nullable(persistenceEngineSchema),
})
export type PersistenceState = z.infer<typeof persistenceStateSchema>

/** A virtual service that is named by what clients address. */
const endpointRefSchema = z.object({
  protocol: protocolSchema,
  address: ipSchema,
  port: portSchema,
})
/** A virtual service that is named by the mark which packets carry: any protocol, address and port of one family. */
const markRefSchema = z.object({
  protocol: z.literal('fwmark'),
  firewallMark: firewallMarkSchema,
  family: z.enum(FAMILIES),
})

/** Everything of a virtual service but its name in the kernel. */
const serviceFields = {
  /** Name of the operator's virtual service; several kernel services may carry one name. */
  name: z.string(),
  scheduler: schedulerSchema,
  /** Sorted, without duplicates. */
  flags: z.array(serviceFlagSchema),
  persistence: z.nullable(persistenceStateSchema),
  /** How long a removed destination may finish its connections at weight 0. */
  drainSeconds: intBetween(0, 86_400),
  /** How the director spreads connections over levels; absent = one level. */
  policy: z.optional(policySchema),
  destinations: z.array(destinationStateSchema),
}

/** One virtual service in one director's kernel. Key: protocol + address + port, or firewall mark + family. */
export const serviceStateSchema = z.discriminatedUnion('protocol', [
  z.object({ ...endpointRefSchema.shape, ...serviceFields }),
  z.object({ ...markRefSchema.shape, ...serviceFields }),
])
export type ServiceState = z.infer<typeof serviceStateSchema>
export type EndpointService = Extract<ServiceState, EndpointRef>
export type MarkService = Extract<ServiceState, MarkRef>
/** What `ServiceState` says of a service besides its key. */
export type ServiceSettings = Omit<EndpointService, keyof EndpointRef>

/** Interface names of Linux: 1 to 15 bytes, no slash or space (IFNAMSIZ, include/uapi/linux/if.h). */
const deviceNameSchema = z.string().check(z.regex(/^[a-zA-Z0-9_.-]{1,15}$/))

/**
 * An interface that the agent makes and owns. Tunnel devices are narrowed to one director each
 * (local = this host, remote = the director), so the kernel itself refuses packets of anybody else.
 */
export const deviceStateSchema = z.discriminatedUnion('kind', [
  z.object({ name: deviceNameSchema, kind: z.literal('dummy') }),
  z.object({
    name: deviceNameSchema,
    /** ipip: v4 in v4. sit: v6 in v4. ip6tnl: v4 and v6 in v6 (mode any). They also take what GUE carried. */
    kind: z.enum(['ipip', 'sit', 'ip6tnl']),
    local: ipSchema,
    remote: ipSchema,
  }),
  z.object({
    name: deviceNameSchema,
    /** gre: v4 and v6 in v4. ip6gre: v4 and v6 in v6. */
    kind: z.enum(['gre', 'ip6gre']),
    local: ipSchema,
    remote: ipSchema,
    /** The kernel drops a packet that has a checksum where none is expected, and the reverse (ip_tunnel_rcv). */
    checksum: z.boolean(),
  }),
])
export type DeviceState = z.infer<typeof deviceStateSchema>

/**
 * A UDP port on which the kernel takes GUE off (the receive ports of `ip fou`), bound to one address of the
 * host. What was inside goes to the narrow tunnel device of the sender, or nowhere.
 */
export const guePortStateSchema = z.object({ address: ipSchema, port: portSchema })
export type GuePortState = z.infer<typeof guePortStateSchema>

/** Where an address goes: a named interface, or whichever interface holds another address of the host. */
export const addressPlaceSchema = z.union([
  z.object({ device: deviceNameSchema }),
  z.object({ holding: ipSchema }),
])
export type AddressPlace = z.infer<typeof addressPlaceSchema>

/** An address with full prefix length. IPv6 ones go in with `nodad` and preferred lifetime 0, so that they are never picked as a source. */
export const addressStateSchema = z.object({ address: ipSchema, place: addressPlaceSchema })
export type AddressState = z.infer<typeof addressStateSchema>

/**
 * A sysctl below /proc/sys, dots for slashes. `{10.1.0.10}` stands for the interface that holds this address, whose
 * name is the host's own affair. Left alone while its value is in `accept`.
 */
export const sysctlStateSchema = z.object({
  key: z.string().check(z.regex(/^net\.[a-zA-Z0-9_.-]+(\{[0-9a-f.:]+\}\.[a-zA-Z0-9_.-]+)?$/)),
  /** One number, or several with tabs between them, as /proc shows them. */
  value: z.string().check(z.regex(/^-?\d+(\t-?\d+)*$/)),
  accept: z.array(z.string()),
})
export type SysctlState = z.infer<typeof sysctlStateSchema>

/** TCP MSS announced by connections whose source is this address (bytes of TCP payload). */
export const clampStateSchema = z.object({
  address: ipSchema,
  mss: intBetween(536, 65_495),
})
export type ClampState = z.infer<typeof clampStateSchema>

/** Ports of one protocol at one address whose packets get a mark on arrival. Key: protocol + address + ports. */
export const markStateSchema = z.object({
  protocol: protocolSchema,
  address: ipSchema,
  ports: z.object({ from: portSchema, to: portSchema }),
  mark: firewallMarkSchema,
})
export type MarkState = z.infer<typeof markStateSchema>

/** Idle times of connections, one set per network namespace (IPVS_CMD_SET_CONFIG). */
export const TIMEOUTS = ['tcp', 'tcpFin', 'udp'] as const
/** The kernel multiplies by HZ in an int (ip_vs_set_timeout): 24 days fit at HZ=1000. */
export const TIMEOUT_SECONDS_MAX = 86_400 * 24
export const timeoutStateSchema = z.object({
  name: z.enum(TIMEOUTS),
  seconds: intBetween(1, TIMEOUT_SECONDS_MAX),
})
export type TimeoutState = z.infer<typeof timeoutStateSchema>

/** A kernel thread that sends or receives connections. Key: role; nothing else can be edited, only stopped and started. */
export const syncDaemonStateSchema = z.object({
  role: z.enum(['master', 'backup']),
  place: addressPlaceSchema,
  syncId: intBetween(0, 255),
  group: ipSchema,
  port: portSchema,
  ttl: intBetween(1, 255),
  /** Bytes of one message; null = what the interface's MTU gives. */
  maxlen: z.nullable(intBetween(1, 65_535)),
})
export type SyncDaemonState = z.infer<typeof syncDaemonStateSchema>

/**
 * Connections from this VIP to this real server by NAT leave with an address of the director itself as their source,
 * so that replies return whatever way the real server is routed. It sees the director as its client.
 */
export const sourceNatStateSchema = z.object({ vip: ipSchema, server: ipSchema })
export type SourceNatState = z.infer<typeof sourceNatStateSchema>

/**
 * A way from a director to a real server, shared by all virtual services that take it. The agent makes a firewall-mark
 * service with this one destination, so that a marked packet to any VIP goes the way of a client's. Key: `pathKey`.
 */
export const pathStateSchema = z.object({
  /** One of `PROBE_MARKS`, no other path of the director has it. */
  mark: firewallMarkSchema,
  realServer: z.string(),
  /** Of the packets inside: of the VIPs, whatever family the tunnel has. */
  family: z.enum(FAMILIES),
  address: ipSchema,
  /** 0 leaves the port that was dialled; NAT to another port names it. */
  port: intBetween(0, 65_535),
  forwarding: forwardingSchema,
  /** Bytes of the largest IP packet from a client that should fit, as computed from sites, networks and tunnel. */
  mtu: intBetween(1, 65_535),
  /** The director's own address that a probe comes from; answers return to it. */
  source: ipSchema,
  /** A VIP whose packets take this path, and a UDP port of it that no virtual service has. */
  vip: ipSchema,
  closedPort: portSchema,
})
export type PathState = z.infer<typeof pathStateSchema>

/** Everything but the virtual services: small, and changed seldom. */
export const hostPartSchema = z.object({
  /** Take over kernel objects that are wanted and stand there already, not made by this agent. */
  adopt: z.boolean(),
  /** How long addresses, devices, GUE ports, sysctls and clamps that left the state stay, so that draining connections live on. */
  lingerSeconds: intBetween(0, 86_400),
  devices: z.array(deviceStateSchema),
  guePorts: z._default(z.array(guePortStateSchema), []),
  addresses: z.array(addressStateSchema),
  sysctls: z.array(sysctlStateSchema),
  clamps: z.array(clampStateSchema),
  marks: z.array(markStateSchema),
  timeouts: z.array(timeoutStateSchema),
  syncDaemons: z.array(syncDaemonStateSchema),
  sourceNats: z._default(z.array(sourceNatStateSchema), []),
  /** Sorted by key; destinations refer to them. */
  checks: z._default(z.array(checkStateSchema), []),
  paths: z._default(z.array(pathStateSchema), []),
})
export type HostPart = z.infer<typeof hostPartSchema>

export type HostState = HostPart & { readonly services: readonly ServiceState[] }

export const EMPTY_HOST_PART: HostPart = {
  adopt: false,
  lingerSeconds: 0,
  devices: [],
  guePorts: [],
  addresses: [],
  sysctls: [],
  clamps: [],
  marks: [],
  timeouts: [],
  syncDaemons: [],
  sourceNats: [],
  checks: [],
  paths: [],
}
export const EMPTY_HOST_STATE: HostState = { ...EMPTY_HOST_PART, services: [] }

export type EndpointRef = z.infer<typeof endpointRefSchema>
export type MarkRef = z.infer<typeof markRefSchema>
/** What names a virtual service in the kernel; `protocol` tells the two apart. */
export type ServiceRef = EndpointRef | MarkRef
/** Marks of paths. Next to those of port ranges, and like them refused to operators. */
export const PROBE_MARKS = { from: 0x4d00_0000, to: 0x4dff_ffff } as const

/** Is it the service of a path? Those are the agent's own affair: no client reaches one, no operator counts it. */
export function isProbe(service: ServiceRef): boolean {
  return 'firewallMark' in service && isProbeMark(service.firewallMark)
}

/** The same by the key, which is all that the ledger has. */
export function isProbeKey(key: string): boolean {
  return isProbeMark(Number(/^fwmark\/(\d+)\//.exec(key)?.[1]))
}

function isProbeMark(mark: number): boolean {
  return PROBE_MARKS.from <= mark && mark <= PROBE_MARKS.to
}

/** What names a destination within its virtual service. */
export type DestinationRef = Pick<DestinationState, 'address' | 'port'>

/** `tcp/10.1.0.100:80`, `udp/[fd01::100]:53`, `fwmark/7/ipv4`: key in maps, ledger, reports and logs. */
export function serviceKey(ref: ServiceRef): string {
  return 'firewallMark' in ref
    ? `fwmark/${ref.firewallMark}/${ref.family}`
    : `${ref.protocol}/${endpoint(ref)}`
}

/** The key alone, whatever else the object carries. */
export function serviceRef(ref: ServiceRef): ServiceRef {
  return 'firewallMark' in ref
    ? { protocol: ref.protocol, firewallMark: ref.firewallMark, family: ref.family }
    : { protocol: ref.protocol, address: ref.address, port: ref.port }
}

/** Family of the packets that it takes. */
export function serviceFamily(ref: ServiceRef): Family {
  return 'firewallMark' in ref ? ref.family : familyOf(ref.address)
}

/** Addresses first, in their order, then marks: the order of states, so that equal content is equal text. */
export function compareServices(a: ServiceRef, b: ServiceRef): number {
  if ('firewallMark' in a || 'firewallMark' in b) {
    if (!('firewallMark' in a)) return -1
    if (!('firewallMark' in b)) return 1
    return a.firewallMark - b.firewallMark || (a.family < b.family ? -1 : 1)
  }
  return compareIps(a.address, b.address) || a.port - b.port || (a.protocol < b.protocol ? -1 : 1)
}

/** `10.2.0.21:80`, `[fd02::21]:80`. */
export function destinationKey(ref: DestinationRef): string {
  return endpoint(ref)
}

/** The same destinations in the same order, whatever their settings. */
export function haveSameEnds(a: readonly DestinationRef[], b: readonly DestinationRef[]): boolean {
  return (
    a.length === b.length &&
    a.every((end, i) => {
      const other = b[i]
      return end === other || (end.address === other?.address && end.port === other.port)
    })
  )
}

/** `10.1.0.100@lvsfleet0` or `10.1.0.100@holding 10.1.0.10`. */
export function addressKey(state: AddressState): string {
  return `${state.address}@${'device' in state.place ? state.place.device : `holding ${state.place.holding}`}`
}

/** `10.2.0.11:6080`, `[fd02::11]:6080`. */
export function guePortKey(state: GuePortState): string {
  return endpoint(state)
}

/** `tcp/10.1.0.100:80-89`, `udp/[fd01::100]:53`. */
export function markKey({ protocol, address, ports }: MarkState): string {
  const first = endpoint({ address, port: ports.from })
  return `${protocol}/${first}${ports.from === ports.to ? '' : `-${ports.to}`}`
}

/** `10.1.0.100 > 10.2.0.11`: VIP and real server. */
export function sourceNatKey(state: SourceNatState): string {
  return `${state.vip} > ${state.server}`
}

function endpoint(ref: { readonly address: Ip; readonly port: number }): string {
  return familyOf(ref.address) === 'ipv6'
    ? `[${ref.address}]:${ref.port}`
    : `${ref.address}:${ref.port}`
}
