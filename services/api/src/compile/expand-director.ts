/** What one director's kernel must look like: virtual services with destinations, VIPs, forwarding sysctls. */
import {
  cidrContains,
  compareIps,
  compareServices,
  familyOf,
  invariant,
  markKey,
  serviceKey,
  sourceNatKey,
  type AddressState,
  type DestinationState,
  type Family,
  type HostState,
  type Ip,
  type MarkState,
  type ServiceState,
  type SourceNatState,
} from '@lvs-fleet/contract'
import type { DirectorSpec, VirtualServiceSpec } from '../intent/kinds.ts'
import { createCheckBook, type CheckBook } from './checks.ts'
import type { Route } from './destinations.ts'
import { directorSysctls, directorTimeouts, syncDaemons } from './director-settings.ts'
import { asksToExpireTemplates, expandDrain, templatesExpire } from './drain.ts'
import type { FleetIndex } from './fleet-index.ts'
import { listenersOf, marksOf } from './listeners.ts'
import { expandOverride, expandPolicy, expandQuorum } from './policy.ts'
import { pathsOf } from './paths.ts'

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
  const paths = pathsOf(director, carried, index)
  const checks = createCheckBook(index, paths)
  const context = { index, checks, waitForTemplates: !templatesExpire(director, carried) }
  const services = carried.flatMap(({ service, routes }) => expandService(service, routes, context))
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
    lingerSeconds: lingerOf(carried),
    devices: [],
    guePorts: [],
    addresses: [...vips.values()].toSorted((a, b) => compareIps(a.address, b.address)),
    sysctls: directorSysctls(director, {
      services,
      sourceNats,
      paths,
      expireTemplates: asksToExpireTemplates(carried),
    }),
    clamps: [],
    sourceNats,
    paths,
    marks: carried.flatMap(({ service }) => marksOf(service)).toSorted(byMarkKey),
    timeouts: directorTimeouts(director),
    syncDaemons: syncDaemons(director, index),
    checks: checks.all(),
    services: services.toSorted(compareServices),
  }
}

/** What all virtual services of a director share. */
type Context = {
  readonly index: FleetIndex
  readonly checks: CheckBook
  /** Persistent clients of what drains stay while the kernel knows them. */
  readonly waitForTemplates: boolean
}

function expandService(
  service: VirtualServiceSpec,
  routes: readonly Route[],
  context: Context,
): ServiceState[] {
  const spec = context.index.policyOf(service.pool)
  const policy = spec === null ? {} : { policy: expandPolicy(spec) }
  let at = 0
  const expanded = new Map<string, ServiceState>()
  for (const { ref, vip } of listenersOf(service)) {
    const key = serviceKey(ref)
    // Routes come listener by listener, and share its ref.
    const from = at
    while (routes[at]?.ref === ref) at++
    // The VIPs of a family share one firewall-mark service, with the same destinations.
    if (expanded.has(key)) continue
    expanded.set(key, {
      name: service.name,
      ...ref,
      scheduler: service.scheduler,
      flags: service.flags,
      persistence: expandPersistence(service, familyOf(vip)),
      drainSeconds: service.drainSeconds,
      ...policy,
      destinations: routes
        .slice(from, at)
        .flatMap((route) => expandDestination(service, route, context))
        .toSorted(byDestinationKey),
    })
  }
  invariant(at === routes.length, `${service.name} has routes of no listener`)
  return [...expanded.values()]
}

/**
 * What carries the packets of draining connections stays as long as they may: a VIP that leaves a firewall-mark
 * service, which has no service of its own that drains, and forwarding and source NAT, without which NAT stops.
 */
function lingerOf(carried: readonly ServiceRoutes[]): number {
  const lasting = carried.filter(
    ({ service, routes }) =>
      marksOf(service).length > 0 ||
      service.firewallMark !== null ||
      routes.some(({ choice }) => choice.ok && choice.forwarding.method === 'nat'),
  )
  return Math.max(0, ...lasting.map(({ service }) => service.drainSeconds))
}

function expandPersistence(
  service: VirtualServiceSpec,
  family: Family,
): ServiceState['persistence'] {
  if (service.persistence === null) return null
  const { timeoutSeconds, prefixLengthIpv4, prefixLengthIpv6, engine } = service.persistence
  return {
    timeoutSeconds,
    prefixLength: family === 'ipv4' ? prefixLengthIpv4 : prefixLengthIpv6,
    engine,
  }
}

function expandDestination(
  service: VirtualServiceSpec,
  route: Route,
  { index, checks, waitForTemplates }: Context,
): DestinationState[] {
  const { server, member, choice, placement, drain } = route
  if (!choice.ok) return []
  const state: DestinationState = {
    realServer: server.name,
    address: choice.address,
    port: route.serverPort,
    forwarding: choice.forwarding,
    weight: route.weight,
    upperThreshold: member.upperThreshold,
    lowerThreshold: member.lowerThreshold,
  }
  // Field by field: a state has a hundred thousand of these, and most of them have none.
  const check = checks.of(service, route)
  if (check !== undefined) state.checks = [check.key]
  if (placement !== undefined) state.placement = placement
  const overrides = index.overridesOf(server.name, service.pool).map(expandOverride)
  if (overrides.length > 0) state.overrides = overrides
  const quorum = index.quorumOf(server.name, service.pool)
  if (quorum !== null) state.quorum = expandQuorum(quorum)
  if (drain !== null)
    state.drain = expandDrain(drain, waitForTemplates && service.persistence !== null)
  return [state]
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
  for (const { routes } of carried) {
    for (const { vip, choice } of routes) {
      if (!choice.ok || choice.sourceNat !== true) continue
      const sourceNat = { vip, server: choice.address }
      found.set(sourceNatKey(sourceNat), sourceNat)
    }
  }
  return [...found.values()].toSorted(
    (a, b) => compareIps(a.vip, b.vip) || compareIps(a.server, b.server),
  )
}

function byDestinationKey(a: DestinationState, b: DestinationState): number {
  return compareIps(a.address, b.address) || a.port - b.port
}

function byMarkKey(a: MarkState, b: MarkState): number {
  return (
    compareIps(a.address, b.address) ||
    a.ports.from - b.ports.from ||
    (markKey(a) < markKey(b) ? -1 : 1)
  )
}
