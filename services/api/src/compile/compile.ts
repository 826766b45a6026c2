/**
 * compile: the whole intent → one HostState per host. Pure and deterministic: the same fleet gives the
 * same states, whatever order it was written in. The file to read first in this folder.
 *
 * A host is a director or a real server. Where both share an address they are one machine, and the
 * director's state carries what the real server needs.
 */
import { EMPTY_HOST_STATE, type HostState, type Ip, type Role } from '@lvs-fleet/contract'
import type { Fleet } from '../intent/fleet.ts'
import type { DirectorSpec, RealServerSpec } from '../intent/kinds.ts'
import { problem, type Problem } from '../intent/problem.ts'
import { checkProblems } from './checks.ts'
import { createChooser, routesOf } from './destinations.ts'
import { expandDirector, type ServiceRoutes } from './expand-director.ts'
import { drainWarnings } from './drain.ts'
import {
  assertDistinctDevices,
  expandRealServer,
  type IncomingRoute,
} from './expand-real-server.ts'
import { indexFleet, type FleetIndex } from './fleet-index.ts'
import { mergeStates } from './merge-states.ts'
import { mixedFamilyProblems, overlapProblems, routeProblems } from './problems.ts'
import { datagramWarnings } from './udp-fit.ts'
import { deliveryWarnings, schedulerWarnings, syncWarnings } from './warnings.ts'

export type CompiledHost = {
  readonly role: Role
  readonly name: string
  readonly site: string
  readonly state: HostState
}

export type Compiled = {
  /** Key: `director/dir-a`, `real-server/rs-b1`; see `hostKey`. */
  readonly hosts: ReadonlyMap<string, CompiledHost>
  /** Not empty = this intent must not be published. */
  readonly problems: readonly Problem[]
  /** Worth saying, not worth refusing. */
  readonly warnings: readonly Problem[]
}

export function hostKey(role: Role, name: string): string {
  return `${role}/${name}`
}

/** Takes a fleet that `validateFleet` found nothing wrong with. */
export function compileFleet(fleet: Fleet): Compiled {
  const index = indexFleet(fleet)
  const choose = createChooser(index)
  const problems: Problem[] = []
  const warnings: Problem[] = []
  const incoming = new Map<string, IncomingRoute[]>()
  const hosts = new Map<string, CompiledHost>()
  for (const director of fleet.directors) {
    const carried = (index.carriedBy.get(director.name) ?? []).map((service) => ({
      service,
      routes: routesOf(director, service, index, choose),
    }))
    problems.push(
      ...routeProblems(director, carried),
      ...overlapProblems(director, carried),
      ...mixedFamilyProblems(director, carried),
      ...checkProblems(carried, index),
    )
    warnings.push(
      ...deliveryWarnings(director, carried, index),
      ...datagramWarnings(director, carried, index),
      ...drainWarnings(director, carried),
    )
    collectIncoming(incoming, director, carried)
    const { name, site } = director
    const state = expandDirector(director, carried, index)
    hosts.set(hostKey('director', name), { role: 'director', name, site, state })
  }
  problems.push(...sharedVipProblems(fleet, index))
  warnings.push(...schedulerWarnings(fleet.virtualServices, index), ...syncWarnings(fleet))
  for (const server of fleet.realServers) {
    const routes = incoming.get(server.name) ?? []
    problems.push(...guePortProblems(server, routes))
    placeRealServer(server, routes, { fleet, index, hosts })
  }
  return { hosts, problems, warnings }
}

function collectIncoming(
  incoming: Map<string, IncomingRoute[]>,
  director: DirectorSpec,
  carried: readonly ServiceRoutes[],
): void {
  for (const { service, routes } of carried) {
    for (const route of routes) {
      const list = incoming.get(route.server.name)
      if (list === undefined) incoming.set(route.server.name, [{ director, service, route }])
      else list.push({ director, service, route })
    }
  }
}

function placeRealServer(
  server: RealServerSpec,
  incoming: readonly IncomingRoute[],
  into: { fleet: Fleet; index: FleetIndex; hosts: Map<string, CompiledHost> },
): void {
  const state = expandRealServer(server, incoming, into.index)
  assertDistinctDevices(state.devices)
  const director = into.fleet.directors.find(({ addresses }) =>
    addresses.some((address) => server.addresses.includes(address)),
  )
  const { name, site } = server
  const own = director === undefined ? state : { ...EMPTY_HOST_STATE }
  into.hosts.set(hostKey('real-server', name), { role: 'real-server', name, site, state: own })
  const host = into.hosts.get(hostKey('director', director?.name ?? ''))
  if (host === undefined) return
  const merged = { ...host, state: mergeStates(host.state, state) }
  into.hosts.set(hostKey('director', host.name), merged)
}

/** One VIP put on two directors of one network: both answer ARP, and neighbours flap between them. */
function sharedVipProblems(fleet: Fleet, index: FleetIndex): Problem[] {
  const problems: Problem[] = []
  const holders = new Map<string, string>()
  for (const director of fleet.directors) {
    const own = new Set<Ip>()
    for (const service of index.carriedBy.get(director.name) ?? []) {
      if (service.vipDelivery !== 'address') continue
      for (const [i, vip] of service.vips.entries()) {
        if (own.has(vip)) continue
        own.add(vip)
        const key = `${director.site} ${vip}`
        const other = holders.get(key)
        holders.set(key, director.name)
        if (other === undefined) continue
        const at = { kind: 'virtual-service', name: service.name, path: ['vips', i] } as const
        const text = `${vip} would stand on ${other} and ${director.name} of site ${director.site} at once: name one director, or set vipDelivery to external and let VRRP or BGP place it`
        problems.push(problem(at, 'vip-duplicate', text))
      }
    }
  }
  return problems
}

/** The kernel's GUE socket and a server's own on one UDP port: whichever comes second finds it taken. */
function guePortProblems(server: RealServerSpec, incoming: readonly IncomingRoute[]): Problem[] {
  const takesGue = incoming.some(
    ({ route: { choice } }) =>
      choice.ok && choice.forwarding.method === 'tun' && choice.forwarding.tunnel.type === 'gue',
  )
  if (!takesGue) return []
  const clash = incoming.find(
    ({ service, route }) => service.protocol === 'udp' && route.serverPort === server.gue.port,
  )
  if (clash === undefined) return []
  const at = { kind: 'real-server', name: server.name, path: ['gue', 'port'] } as const
  const text = `${server.gue.port} is also the udp port on which ${server.name} answers ${clash.service.name}: give GUE another one`
  return [problem(at, 'tunnel-conflict', text)]
}
