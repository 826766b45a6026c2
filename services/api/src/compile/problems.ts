/**
 * What one director's kernel would refuse or misroute: members that cannot be reached, two services on one port or
 * mark, address families that exclude each other. Takes routes; gives problems, each with the field to change.
 */
import { familyOf, serviceKey } from '@lvs-fleet/contract'
import type { DirectorSpec, VirtualServiceSpec } from '../intent/kinds.ts'
import { portRanges } from '../intent/ports.ts'
import { problem, type Problem } from '../intent/problem.ts'
import type { Route } from './destinations.ts'
import type { ServiceRoutes } from './expand-director.ts'
import { listenersOf } from './listeners.ts'

/** No way to reach a member: refused, with the reason of every method that was looked at. */
export function routeProblems(
  director: DirectorSpec,
  carried: readonly ServiceRoutes[],
): Problem[] {
  const problems: Problem[] = []
  for (const { service, routes } of carried) {
    for (const route of routes) {
      if (route.choice.ok) continue
      const target = serviceKey(route.ref)
      const reasons = route.choice.refusals.map(({ method, reason }) => `${method}: ${reason}`)
      const text = `${director.name} cannot reach ${route.server.name} for ${target} of ${service.name}: ${reasons.join('; ')}`
      problems.push(problem(memberAt(service.pool, route), 'no-forwarding', text))
    }
  }
  return problems
}

function memberAt(pool: string, route: Route) {
  return { kind: 'pool', name: pool, path: route.memberPath } as const
}

/** The kernel holds one service per key, and nftables one mark per port: what overlaps would be a guess. */
export function overlapProblems(
  director: DirectorSpec,
  carried: readonly ServiceRoutes[],
): Problem[] {
  return [...markOverlaps(director, carried), ...portOverlaps(director, carried)]
}

function markOverlaps(director: DirectorSpec, carried: readonly ServiceRoutes[]): Problem[] {
  const problems: Problem[] = []
  const owners = new Map<string, VirtualServiceSpec>()
  for (const { service } of carried) {
    const refs = listenersOf(service).map(({ ref }) => ref)
    const keys = new Set(refs.filter((ref) => 'firewallMark' in ref).map(serviceKey))
    for (const key of keys) {
      const other = owners.get(key)
      owners.set(key, service)
      if (other === undefined) continue
      const at = { kind: 'virtual-service', name: service.name } as const
      const isOurs = service.firewallMark === null
      problems.push(
        isOurs
          ? problem(
              { ...at, path: ['ports'] },
              'mark-collision',
              `${director.name} would mark the ports of ${service.name} as it does those of ${other.name} (${key}): rename one of the two`,
            )
          : problem(
              { ...at, path: ['firewallMark'] },
              'vip-overlap',
              `${key} is carried by ${director.name} for virtual service ${other.name} already`,
            ),
      )
    }
  }
  return problems
}

type Claim = {
  readonly service: VirtualServiceSpec
  readonly vipIndex: number
  readonly from: number
  readonly to: number
}

function portOverlaps(director: DirectorSpec, carried: readonly ServiceRoutes[]): Problem[] {
  const claims = new Map<string, Claim[]>()
  for (const { service } of carried) {
    if (service.firewallMark !== null) continue
    for (const [vipIndex, vip] of service.vips.entries()) {
      const key = `${service.protocol}/${vip}`
      const list = claims.get(key) ?? []
      list.push(...portRanges(service.ports).map((range) => ({ service, vipIndex, ...range })))
      claims.set(key, list)
    }
  }
  const problems: Problem[] = []
  for (const list of claims.values()) {
    // Stable: of two that begin alike the one that comes first by name keeps the port.
    const sorted = list.toSorted((a, b) => a.from - b.from)
    let last: Claim | undefined
    for (const claim of sorted) {
      if (last !== undefined && claim.from <= last.to) {
        problems.push(portOverlap(director, claim, last))
      }
      if (last === undefined || claim.to > last.to) last = claim
    }
  }
  return problems
}

function portOverlap(director: DirectorSpec, claim: Claim, other: Claim): Problem {
  const { service, vipIndex } = claim
  const at = { kind: 'virtual-service', name: service.name } as const
  const address = service.vips[vipIndex]
  const isSame = claim.from === other.from && claim.to === other.to && claim.from === claim.to
  if (isSame && address !== undefined) {
    const key = serviceKey({ protocol: service.protocol, address, port: claim.from })
    const text = `${key} is carried by ${director.name} for virtual service ${other.service.name} already`
    return problem({ ...at, path: ['vips', vipIndex] }, 'vip-overlap', text)
  }
  const text = `${claim.from}-${claim.to} of ${service.protocol} ${address ?? ''} overlaps ${other.from}-${other.to} of virtual service ${other.service.name} on ${director.name}`
  return problem({ ...at, path: ['ports'] }, 'port-overlap', text)
}

/** The sync protocol knows one family per connection: with a mixed destination the kernel refuses the daemon, and the reverse (EINVAL). */
export function mixedFamilyProblems(
  director: DirectorSpec,
  carried: readonly ServiceRoutes[],
): Problem[] {
  if (director.sync === null) return []
  const problems: Problem[] = []
  for (const { service, routes } of carried) {
    for (const route of routes) {
      if (!route.choice.ok || familyOf(route.choice.address) === familyOf(route.vip)) continue
      const text = `${director.name} syncs connections, so ${route.server.name} at ${route.choice.address} cannot answer for ${route.vip} of ${service.name}: the kernel refuses mixed address families beside a sync daemon; give ${route.server.name} an address of the same family, or ${director.name} no sync`
      problems.push(problem(memberAt(service.pool, route), 'sync-mixed-family', text))
    }
  }
  return problems
}
