/** What one director's kernel must look like: virtual services with destinations, VIPs, forwarding sysctls. */
import {
  cidrContains,
  compareIps,
  familyOf,
  sourceNatKey,
  type AddressState,
  type DestinationState,
  type Family,
  type HostState,
  type Ip,
  type ServiceState,
  type SourceNatState,
  type SysctlState,
} from '@lvs-fleet/contract'
import type { DirectorSpec, VirtualServiceSpec } from '../intent/kinds.ts'
import type { Route } from './destinations.ts'
import type { FleetIndex } from './fleet-index.ts'

export type ServiceRoutes = {
  readonly service: VirtualServiceSpec
  readonly routes: readonly Route[]
}

/** Routes without a possible forwarding are left out here; compile reports them as problems. */
export function expandDirector(
  director: DirectorSpec,
  carried: readonly ServiceRoutes[],
  index: FleetIndex,
): HostState {
  const services = carried.flatMap(({ service, routes }) => expandService(service, routes))
  const sourceNats = sourceNatsOf(carried)
  const vips = new Map<Ip, AddressState>()
  for (const { service } of carried) {
    if (service.vipDelivery !== 'address') continue
    for (const vip of service.vips) {
      vips.set(vip, { address: vip, place: { holding: anchorOf(director, vip, index) } })
    }
  }
  return {
    adopt: director.adopt,
    lingerSeconds: 0,
    devices: [],
    guePorts: [],
    addresses: [...vips.values()].toSorted((a, b) => compareIps(a.address, b.address)),
    sysctls: directorSysctls(services, sourceNats),
    clamps: [],
    sourceNats,
    services: services.toSorted(byServiceKey),
  }
}

function expandService(service: VirtualServiceSpec, routes: readonly Route[]): ServiceState[] {
  const expanded: ServiceState[] = []
  for (const address of service.vips) {
    for (const port of service.ports) {
      const own = routes.filter((route) => route.vip === address && route.port === port)
      expanded.push({
        name: service.name,
        protocol: service.protocol,
        address,
        port,
        scheduler: service.scheduler,
        flags: service.flags,
        persistence: expandPersistence(service, address),
        drainSeconds: service.drainSeconds,
        destinations: own.flatMap(expandDestination).toSorted(byDestinationKey),
      })
    }
  }
  return expanded
}

function expandPersistence(service: VirtualServiceSpec, vip: Ip): ServiceState['persistence'] {
  if (service.persistence === null) return null
  const { timeoutSeconds, prefixLengthIpv4, prefixLengthIpv6 } = service.persistence
  return {
    timeoutSeconds,
    prefixLength: familyOf(vip) === 'ipv4' ? prefixLengthIpv4 : prefixLengthIpv6,
  }
}

function expandDestination(route: Route): DestinationState[] {
  if (!route.choice.ok) return []
  return [
    {
      realServer: route.server.name,
      address: route.choice.address,
      port: route.serverPort,
      forwarding: route.choice.forwarding,
      weight: route.weight,
      upperThreshold: route.member.upperThreshold,
      lowerThreshold: route.member.lowerThreshold,
    },
  ]
}

/**
 * The director's address whose interface gets the VIP: one in the VIP's own network, so that neighbours
 * find it by ARP or NDP; else the first of its family, else the first.
 */
function anchorOf(director: DirectorSpec, vip: Ip, index: FleetIndex): Ip {
  const networks = index.sites.get(director.site)?.networks ?? []
  const network = networks.find(({ cidrs }) => cidrs.some((cidr) => cidrContains(cidr, vip)))
  const inNetwork = director.addresses.filter((own) =>
    network?.cidrs.some((cidr) => cidrContains(cidr, own)),
  )
  const ofFamily = (list: readonly Ip[]) => list.find((own) => familyOf(own) === familyOf(vip))
  const anchor =
    ofFamily(inNetwork) ?? inNetwork[0] ?? ofFamily(director.addresses) ?? director.addresses[0]
  if (anchor === undefined) throw new Error(`director ${director.name} has no address`)
  return anchor
}

function sourceNatsOf(carried: readonly ServiceRoutes[]): SourceNatState[] {
  const found = new Map<string, SourceNatState>()
  for (const { vip, choice } of carried.flatMap(({ routes }) => routes)) {
    if (!choice.ok || choice.sourceNat !== true) continue
    const sourceNat = { vip, server: choice.address }
    found.set(sourceNatKey(sourceNat), sourceNat)
  }
  return [...found.values()].toSorted(
    (a, b) => compareIps(a.vip, b.vip) || compareIps(a.server, b.server),
  )
}

/** What the director's namespace must be set to for the methods that it uses. */
function directorSysctls(
  services: readonly ServiceState[],
  sourceNats: readonly SourceNatState[],
): SysctlState[] {
  const uses = (methods: readonly string[], family?: Family) =>
    services.some(
      (service) =>
        (family === undefined || familyOf(service.address) === family) &&
        service.destinations.some((d) => methods.includes(d.forwarding.method)),
    )
  const sysctls: SysctlState[] = []
  // NAT sends other hosts' packets on, so the host must forward; DR and TUN need nothing.
  if (uses(['nat'], 'ipv4')) {
    sysctls.push({ key: 'net.ipv4.ip_forward', value: '1', accept: ['1'] })
  }
  if (uses(['nat'], 'ipv6')) {
    sysctls.push({ key: 'net.ipv6.conf.all.forwarding', value: '1', accept: ['1'] })
  }
  // Without conntrack entries of IPVS connections, netfilter's NAT passes them by without a word.
  if (sourceNats.length > 0) {
    sysctls.push({ key: 'net.ipv4.vs.conntrack', value: '1', accept: ['1'] })
  }
  // A director of DR and TUN never sees an answer, so a finished connection stays in FIN_WAIT for two minutes,
  // and a client port that comes back meanwhile goes to the same real server, even one that drains. Bit 2
  // schedules those anew (Documentation/networking/ipvs-sysctl.rst, conn_reuse_mode).
  if (uses(['dr', 'tun'])) {
    sysctls.push({ key: 'net.ipv4.vs.conn_reuse_mode', value: '2', accept: ['2', '3'] })
  }
  return sysctls
}

function byServiceKey(a: ServiceState, b: ServiceState): number {
  return compareIps(a.address, b.address) || a.port - b.port || (a.protocol < b.protocol ? -1 : 1)
}

function byDestinationKey(a: DestinationState, b: DestinationState): number {
  return compareIps(a.address, b.address) || a.port - b.port
}
