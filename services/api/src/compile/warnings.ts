/** What is worth saying about an intent and not worth refusing: VIPs nobody routes, schedulers that surprise. Pure. */
import { cidrContains, PROPORTIONAL_SCHEDULERS, type Scheduler } from '@lvs-fleet/contract'
import type { Fleet } from '../intent/fleet.ts'
import type { DirectorSpec, VirtualServiceSpec } from '../intent/kinds.ts'
import { problem, type Problem } from '../intent/problem.ts'
import type { ServiceRoutes } from './expand-director.ts'
import type { FleetIndex } from './fleet-index.ts'

/** ip_vs_lblc.c, ip_vs_lblcr.c, ip_vs_dh.c: they look at the destination address, which is the VIP for everybody. */
const FOR_CACHES: ReadonlySet<Scheduler> = new Set(['lblc', 'lblcr', 'dh'])
/** ip_vs_rr.c, ip_vs_lc.c, ip_vs_dh.c: any weight above 0 counts as one. */
const IGNORE_WEIGHTS: ReadonlySet<Scheduler> = new Set(['rr', 'lc', 'dh'])

/** Once per virtual service, whatever directors carry it. */
export function schedulerWarnings(
  services: readonly VirtualServiceSpec[],
  index: FleetIndex,
): Problem[] {
  return services.flatMap((service) => [
    ...schedulerWarning(service, index),
    ...levelWarning(service, index),
  ])
}

/** A level that should get 30 % gets whatever the number of its destinations gives. */
function levelWarning({ scheduler, name, pool }: VirtualServiceSpec, index: FleetIndex): Problem[] {
  if (index.policyOf(pool) === null || PROPORTIONAL_SCHEDULERS.has(scheduler)) return []
  const at = { kind: 'virtual-service', name, path: ['scheduler'] } as const
  const text = `${scheduler} does not share by weight, so levels of pool ${pool} can only be on or off and nothing ramps: ${[...PROPORTIONAL_SCHEDULERS].join(', ')} do`
  return [problem(at, 'scheduler-levels', text)]
}

function schedulerWarning(service: VirtualServiceSpec, index: FleetIndex): Problem[] {
  const { scheduler, name, flags } = service
  const at = { kind: 'virtual-service', name, path: ['scheduler'] } as const
  const members = index.membersOf(service.pool).map(({ member }) => member)
  const warnings: Problem[] = []
  if (FOR_CACHES.has(scheduler)) {
    const text = `${scheduler} is for caches in the path of clients: it chooses by the address that packets go to, and that is the VIP for all of them`
    warnings.push(problem(at, 'scheduler-cache', text))
  }
  const hashes = scheduler === 'sh' || scheduler === 'mh'
  if (hashes && !flags.includes('fallback') && members.some((one) => one.upperThreshold > 0)) {
    const text = `${scheduler} refuses the clients of a real server that is above its upperThreshold: set flag fallback to move them instead`
    warnings.push(problem(at, 'scheduler-thresholds', text))
  }
  const weights = new Set(members.map(({ weight }) => weight).filter((weight) => weight > 0))
  if (weights.size > 1 && hashes) {
    const text = `${scheduler} puts weights into its table: each changed weight moves clients that did not have to move`
    warnings.push(problem(at, 'scheduler-weights', text))
  } else if (weights.size > 1 && IGNORE_WEIGHTS.has(scheduler)) {
    const text = `${scheduler} does not look at weights other than 0, but those of pool ${service.pool} differ`
    warnings.push(problem(at, 'scheduler-weights', text))
  }
  return warnings
}

/** A VIP outside the site's networks is only reachable when a router is told. */
export function deliveryWarnings(
  director: DirectorSpec,
  carried: readonly ServiceRoutes[],
  index: FleetIndex,
): Problem[] {
  const cidrs = (index.sites.get(director.site)?.networks ?? []).flatMap(({ cidrs: list }) => list)
  const warnings: Problem[] = []
  for (const { service } of carried) {
    if (service.vipDelivery !== 'address') continue
    for (const [i, vip] of service.vips.entries()) {
      if (cidrs.some((cidr) => cidrContains(cidr, vip))) continue
      const at = { kind: 'virtual-service', name: service.name, path: ['vips', i] } as const
      const text = `${vip} is in no network of site ${director.site}: route it to ${director.name}`
      warnings.push(problem(at, 'vip-not-routed', text))
    }
  }
  return warnings
}

/** One half of a pair: allowed, since the two may be written one after the other, but it syncs with nobody. */
export function syncWarnings(fleet: Fleet): Problem[] {
  return fleet.directors.flatMap(({ name, sync }) => {
    if (sync === null) return []
    const peer = fleet.directors.find((other) => other.name === sync.with)
    if (peer === undefined || peer.sync !== null) return []
    const at = { kind: 'director', name, path: ['sync', 'with'] } as const
    return [problem(at, 'sync-pair', `${peer.name} has no sync yet: it must name ${name}`)]
  })
}
