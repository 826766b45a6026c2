/**
 * What the director's network namespace is set to: sysctls that its methods need or that an operator asked for,
 * idle timeouts, sync daemons. Everything else is left as the host has it.
 */
import {
  cidrContains,
  familyOf,
  type Family,
  type HostState,
  type PathState,
  type ServiceState,
  serviceFamily,
  type SyncDaemonState,
  type SysctlState,
  type TimeoutState,
} from '@lvs-fleet/contract'
import type { DirectorIpvs } from '../intent/director-ipvs.ts'
import type { DirectorSpec } from '../intent/kinds.ts'
import type { FleetIndex } from './fleet-index.ts'

/** In the order in which they are set. */
export function directorSysctls(
  director: DirectorSpec,
  needs: Pick<HostState, 'services' | 'sourceNats' | 'paths'> & {
    /** A drain asks for it. */
    readonly expireTemplates: boolean
  },
): SysctlState[] {
  const { services, sourceNats, paths } = needs
  const ipvs = needs.expireTemplates
    ? { ...director.ipvs, expireQuiescentTemplate: true }
    : director.ipvs
  // Without conntrack entries of IPVS connections, netfilter's NAT passes them by without a word.
  const conntrack = sourceNats.length > 0 ? true : ipvs.conntrack
  return [
    ...forwardingSysctls(director, services),
    ...acceptLocal(paths),
    ...ipvsSysctls({ ...ipvs, conntrack }, services),
  ]
}

export function directorTimeouts({ ipvs }: DirectorSpec): TimeoutState[] {
  const { tcpSeconds, tcpFinSeconds, udpSeconds } = ipvs.timeouts
  const all: TimeoutState[] = [
    { name: 'tcp', seconds: tcpSeconds },
    { name: 'tcpFin', seconds: tcpFinSeconds },
    { name: 'udp', seconds: udpSeconds },
  ]
  return all.filter(({ seconds }) => seconds !== 0)
}

export function syncDaemons(director: DirectorSpec, index: FleetIndex): SyncDaemonState[] {
  const { sync } = director
  if (sync === null || director.state === 'disabled') return []
  const place = syncPlace(director, index)
  if (place === undefined) return []
  const { syncId, group, port, ttl, maxlen } = sync
  const roles = sync.role === 'both' ? (['master', 'backup'] as const) : [sync.role]
  return roles.map((role) => ({ role, place, syncId, group, port, ttl, maxlen }))
}

/** By an address in the network, since interface names are the host's own affair; of the group's family where there is one. */
function syncPlace(
  { site, sync, addresses }: DirectorSpec,
  index: FleetIndex,
): SyncDaemonState['place'] | undefined {
  if (sync === null) return undefined
  if (sync.interface !== null) return { device: sync.interface }
  const network = index.sites.get(site)?.networks.find(({ name }) => name === sync.network)
  const inNetwork = addresses.filter((own) =>
    network?.cidrs.some((cidr) => cidrContains(cidr, own)),
  )
  const holding = inNetwork.find((own) => familyOf(own) === familyOf(sync.group)) ?? inNetwork[0]
  return holding === undefined ? undefined : { holding }
}

/**
 * NAT sends other hosts' packets on, so the host must forward; DR and TUN need nothing. Where a real server is in the
 * director's own network, the answer goes out where it came in, and the kernel would tell the real server of the
 * way past the director (ICMP redirect, RFC 792), on which the client refuses it. IPv6 has no such switch.
 */
function forwardingSysctls(
  { addresses }: DirectorSpec,
  services: readonly ServiceState[],
): SysctlState[] {
  const sysctls: SysctlState[] = []
  if (uses(services, ['nat'], 'ipv4')) {
    sysctls.push({ key: 'net.ipv4.ip_forward', value: '1', accept: ['1'] })
    const own = addresses.filter((address) => familyOf(address) === 'ipv4')
    for (const part of ['all', ...own.map((address) => `{${address}}`)]) {
      sysctls.push({ key: `net.ipv4.conf.${part}.send_redirects`, value: '0', accept: ['0'] })
    }
  }
  if (uses(services, ['nat'], 'ipv6')) {
    sysctls.push({ key: 'net.ipv6.conf.all.forwarding', value: '1', accept: ['1'] })
  }
  return sysctls
}

/**
 * A real server of DR or TUN answers a probe with the VIP as its source, which the director holds itself: the kernel
 * takes that for a martian (fib_validate_source, net/ipv4/fib_frontend.c) unless the interface accepts it. Set also
 * where the VIP is elsewhere, since it may come at any moment.
 *
 * What it lets in: packets that name an address of this host as their source, by an interface of the fleet's own
 * networks. They are answered to the host itself, so nobody can open a connection with them, and packets to or
 * from 127.0.0.0/8 stay refused (route_localnet). rp_filter is left as the host has it: the route back to an own
 * address is `local`, over the interface that holds it, so strict mode lets in what comes by that one and loose mode
 * all of it. IPv6 has no such check.
 */
function acceptLocal(paths: readonly PathState[]): SysctlState[] {
  const sources = paths
    .filter(({ family, forwarding }) => family === 'ipv4' && forwarding.method !== 'nat')
    .map(({ source }) => source)
  return [...new Set(sources)].map((source) => ({
    key: `net.ipv4.conf.{${source}}.accept_local`,
    value: '1',
    accept: ['1'],
  }))
}

function ipvsSysctls(ipvs: DirectorIpvs, services: readonly ServiceState[]): SysctlState[] {
  const { syncThreshold: threshold } = ipvs
  const asked: readonly (readonly [name: string, value: number | boolean | string | null])[] = [
    ['expire_nodest_conn', ipvs.expireNodestConn],
    ['expire_quiescent_template', ipvs.expireQuiescentTemplate],
    ['conntrack', ipvs.conntrack],
    ['sloppy_tcp', ipvs.sloppyTcp],
    ['sloppy_sctp', ipvs.sloppySctp],
    ['backup_only', ipvs.backupOnly],
    ['ignore_tunneled', ipvs.ignoreTunneled],
    ['sync_threshold', threshold === null ? null : `${threshold.packets}\t${threshold.period}`],
    ['sync_refresh_period', ipvs.syncRefreshPeriodSeconds],
    ['sync_retries', ipvs.syncRetries],
    ['sync_ports', ipvs.syncPorts],
    ['sync_persist_mode', ipvs.syncPersistMode],
    ['sync_qlen_max', ipvs.syncQueueMax],
    ['sync_sock_size', ipvs.syncSocketBytes],
  ]
  return [
    ...connReuse(ipvs, services),
    ...quiescentTemplates(ipvs, services),
    ...asked.flatMap(([name, value]) => (value === null ? [] : [exactly(name, textOf(value))])),
  ]
}

/**
 * A director of DR and TUN never sees an answer, so a finished connection stays in FIN_WAIT for two minutes, and
 * a client port that comes back meanwhile goes to the same real server, even one that drains. Bit 2 schedules
 * those anew (Documentation/networking/ipvs-sysctl.rst, conn_reuse_mode).
 */
function connReuse(ipvs: DirectorIpvs, services: readonly ServiceState[]): SysctlState[] {
  if (ipvs.connReuseMode !== null) return [exactly('conn_reuse_mode', `${ipvs.connReuseMode}`)]
  if (!uses(services, ['dr', 'tun'])) return []
  return [{ key: 'net.ipv4.vs.conn_reuse_mode', value: '2', accept: ['2', '3'] }]
}

/** At weight 0 a persistent destination still gets new connections of clients that it knows, and never drains. */
function quiescentTemplates(ipvs: DirectorIpvs, services: readonly ServiceState[]): SysctlState[] {
  if (ipvs.expireQuiescentTemplate !== null) return []
  return services.some((service) => service.persistence !== null)
    ? [exactly('expire_quiescent_template', '1')]
    : []
}

function exactly(name: string, value: string): SysctlState {
  return { key: `net.ipv4.vs.${name}`, value, accept: [value] }
}

function textOf(value: number | boolean | string): string {
  return typeof value === 'boolean' ? (value ? '1' : '0') : `${value}`
}

function uses(
  services: readonly ServiceState[],
  methods: readonly string[],
  family?: Family,
): boolean {
  return services.some(
    (service) =>
      (family === undefined || serviceFamily(service) === family) &&
      service.destinations.some((d) => methods.includes(d.forwarding.method)),
  )
}
