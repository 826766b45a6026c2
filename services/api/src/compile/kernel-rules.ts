/**
 * What a director's kernel makes of what it is told: one table, each row with its source. Takes a compiled
 * virtual service or destination and what is known of that kernel; says what is wrong and what to do. Pure.
 *
 * `refuses`: the kernel answers an error. `misroutes`: it takes it, and packets go where nobody meant.
 * `ignores`: it takes it and does not do it. test/lab/kernel/kernel-rules.test.ts holds each row against a
 * real kernel. A new method, flag or tunnel type starts with its rows here.
 */
import {
  cidrContains,
  destinationKey,
  familyOf,
  parseCidr,
  serviceFamily,
  serviceKey,
  type Capabilities,
  type DestinationState,
  type Family,
  type ServiceState,
} from '@lvs-fleet/contract'

import { readsFlag } from '../intent/service-rules.ts'

export type Effect = 'refuses' | 'misroutes' | 'ignores'

type Row = {
  readonly id: string
  readonly effect: Effect
  /** The errno, or what happens instead. */
  readonly answer: string
  readonly source: string
}

export type ServiceRule = Row & {
  /** The field of the virtual service that is to blame. */
  readonly field: string
  readonly wrong: (service: ServiceState, kernel: Capabilities | null) => string | undefined
}

export type DestinationRule = Row & {
  readonly wrong: (
    destination: DestinationState,
    service: ServiceState,
    kernel: Capabilities | null,
  ) => string | undefined
}

export const SERVICE_RULES: readonly ServiceRule[] = [
  {
    id: 'scheduler-missing',
    field: 'scheduler',
    effect: 'refuses',
    answer: 'ENOENT',
    source: 'net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_add_service: ip_vs_scheduler_get',
    wrong: ({ scheduler }, kernel) =>
      kernel?.schedulers[scheduler] === 'no'
        ? `its kernel ${kernel.kernelRelease} has no scheduler ${scheduler}: choose another, or install module ip_vs_${scheduler} there and restart its agent`
        : undefined,
  },
  {
    id: 'one-packet-tcp',
    field: 'flags',
    effect: 'ignores',
    answer: 'every packet but those of UDP is scheduled by connection',
    source:
      'net/netfilter/ipvs/ip_vs_core.c, ip_vs_schedule: IP_VS_SVC_F_ONEPACKET and IPPROTO_UDP',
    // Behind a mark the kernel looks at each packet's own protocol.
    wrong: ({ flags, protocol }) =>
      flags.includes('one-packet') && protocol !== 'udp' && protocol !== 'fwmark'
        ? `one-packet scheduling of ${protocol} is ignored by the kernel: take the flag away`
        : undefined,
  },
  {
    id: 'one-packet-persistent',
    field: 'persistence',
    effect: 'misroutes',
    answer: 'packets of one client go to one server: nothing is scheduled by packet',
    source: 'ipvsadm(8), --ops; ip_vs_sched_persist takes the template first',
    wrong: ({ flags, persistence }) =>
      flags.includes('one-packet') && persistence !== null
        ? 'one-packet scheduling and persistence exclude each other: take one away'
        : undefined,
  },
  {
    id: 'hash-flag',
    field: 'flags',
    effect: 'ignores',
    answer: 'the flag is kept and has no effect',
    source:
      'include/uapi/linux/ip_vs.h, IP_VS_SVC_F_SCHED1 and 2: read by ip_vs_sh.c and ip_vs_mh.c only',
    wrong: ({ flags, scheduler }) =>
      flags.some((flag) => !readsFlag(scheduler, flag))
        ? `flags fallback and port belong to schedulers sh and mh: ${scheduler} ignores them`
        : undefined,
  },
  {
    id: 'netmask-ipv6',
    field: 'persistence',
    effect: 'refuses',
    answer: 'EINVAL',
    source: 'net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_add_service: plen < 1 || plen > 128',
    wrong: (service) => {
      const bits = BITS[serviceFamily(service)]
      const length = service.persistence?.prefixLength ?? bits
      return length < 1 || length > bits
        ? `persistence cannot look at ${length} of ${bits} bits of a client address`
        : undefined
    },
  },
]

export const DESTINATION_RULES: readonly DestinationRule[] = [
  {
    id: 'family-mix',
    effect: 'refuses',
    answer: 'EINVAL',
    source:
      'net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_genl_set_cmd: udest.af != svc->af needs IP_VS_CONN_F_TUNNEL',
    wrong: ({ address, forwarding }, service) =>
      familyOf(address) !== serviceFamily(service) && forwarding.method !== 'tun'
        ? `${forwarding.method} cannot reach ${address} for ${nameOf(service)}: only tun changes the family`
        : undefined,
  },
  {
    id: 'tunnel-missing',
    effect: 'refuses',
    answer: 'EINVAL; kernels before 5.2 skip the attribute and make an ipip destination',
    source: 'include/uapi/linux/ip_vs.h, IPVS_DEST_ATTR_TUN_TYPE: gue 5.2, gre 5.3',
    wrong: ({ forwarding }, _, kernel) =>
      forwarding.method === 'tun' && kernel?.tunnels[forwarding.tunnel.type] === 'no'
        ? `its kernel ${kernel.kernelRelease} cannot tunnel by ${forwarding.tunnel.type}: let the real server decapsulate ipip, or upgrade the director`
        : undefined,
  },
  {
    id: 'port-translation',
    effect: 'misroutes',
    answer: 'the real server is asked on the port of the virtual service',
    source:
      'net/netfilter/ipvs/ip_vs_xmit.c, ip_vs_dr_xmit and ip_vs_tunnel_xmit leave the packet as it is',
    wrong: ({ port, forwarding }, service) =>
      port !== portOf(service) && forwarding.method !== 'nat'
        ? `${forwarding.method} cannot translate ${portOf(service) === 0 ? 'many ports' : `port ${portOf(service)}`} to ${port}: only nat can`
        : undefined,
  },
  {
    id: 'one-packet-nat',
    effect: 'misroutes',
    answer: 'answers leave with the address of the real server, which the client never asked',
    source:
      'net/netfilter/ipvs/ip_vs_conn.c, ip_vs_conn_hash: connections of one packet are in no table, so ip_vs_out finds none to translate back by',
    // Other protocols ignore the flag; behind a mark there may be UDP.
    wrong: ({ forwarding }, { flags, protocol }) =>
      flags.includes('one-packet') &&
      forwarding.method === 'nat' &&
      (protocol === 'udp' || protocol === 'fwmark')
        ? 'nat cannot translate answers of one-packet scheduling back: use dr or tun, or take the flag away'
        : undefined,
  },
  {
    id: 'threshold-order',
    effect: 'refuses',
    answer: 'ERANGE',
    source:
      'net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_add_dest and ip_vs_edit_dest: l_threshold > u_threshold',
    wrong: ({ lowerThreshold, upperThreshold }) =>
      lowerThreshold > upperThreshold
        ? `lowerThreshold ${lowerThreshold} is above upperThreshold ${upperThreshold}${upperThreshold === 0 ? ', which 0 does not lift' : ''}: set an upperThreshold of at least ${lowerThreshold}`
        : undefined,
  },
  {
    id: 'not-unicast',
    effect: 'refuses',
    answer: 'EINVAL',
    source:
      'net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_new_dest: RTN_UNICAST or RTN_LOCAL, no IPv6 link-local',
    wrong: ({ address }) =>
      NOT_UNICAST.some((cidr) => cidrContains(cidr, address))
        ? `${address} is no unicast address that can be routed: give the real server another`
        : undefined,
  },
  {
    id: 'loopback-nat',
    effect: 'misroutes',
    answer: 'answers to clients of other hosts have a loopback source and are dropped',
    source: 'measured on 6.1; route_localnet does not help',
    wrong: ({ address, forwarding }) =>
      forwarding.method === 'nat' && LOOPBACK.some((cidr) => cidrContains(cidr, address))
        ? `nat to ${address} never answers clients of other hosts: use an address of the host itself`
        : undefined,
  },
]

/** Two destinations with one address and port in one virtual service: the second is refused with EEXIST (ip_vs_add_dest). */
export function twinOf(service: ServiceState): DestinationState | undefined {
  const seen = new Set<string>()
  for (const destination of service.destinations) {
    const key = destinationKey(destination)
    if (seen.has(key)) return destination
    seen.add(key)
  }
  return undefined
}

const NOT_UNICAST = [
  '224.0.0.0/4',
  '255.255.255.255/32',
  '0.0.0.0/32',
  'ff00::/8',
  'fe80::/10',
].map(cidrOf)
const LOOPBACK = ['127.0.0.0/8', '::1/128'].map(cidrOf)

function cidrOf(text: string) {
  const cidr = parseCidr(text)
  if (cidr === undefined) throw new Error(`${text} is no network`)
  return cidr
}

const BITS: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 }

/** 0 where a mark names the service: whatever the client asked for. */
function portOf(service: ServiceState): number {
  return 'firewallMark' in service ? 0 : service.port
}

function nameOf(service: ServiceState): string {
  return 'firewallMark' in service ? serviceKey(service) : service.address
}
