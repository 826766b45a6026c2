/**
 * Paths: the distinct ways by which one director reaches real servers, each with a mark, so that a probe can take
 * exactly one of them. Takes the routes of all virtual services; a thousand of them over the same real servers share
 * their paths. Which VIP is asked is chosen by who dials: the mark only picks the destination.
 */
import {
  assertNever,
  familyOf,
  fnv1a32,
  pathKey,
  PROBE_MARKS,
  type Family,
  type Forwarding,
  type Ip,
  type PathState,
} from '@lvs-fleet/contract'
import type { DirectorSpec, RealServerSpec, VirtualServiceSpec } from '../intent/kinds.ts'
import { portRanges, type PortRange } from '../intent/ports.ts'
import type { Route } from './destinations.ts'
import type { FleetIndex } from './fleet-index.ts'
import type { ForwardingChoice } from './choose-forwarding.ts'
import { innerMtu } from './mtu.ts'

type Carried = { readonly service: VirtualServiceSpec; readonly routes: readonly Route[] }
type Unmarked = Omit<PathState, 'mark'>
type Sources = Readonly<Partial<Record<Family, Ip>>>
type Ports = readonly PortRange[]

/** First port of traceroute(8), which servers leave alone. */
const CLOSED_PORT = 33_434

/** In order of their keys. */
export function pathsOf(
  director: DirectorSpec,
  carried: readonly Carried[],
  index: FleetIndex,
): PathState[] {
  if (!director.probes) return []
  const sources = sourcesOf(director, carried)
  const udpPorts = udpPortsOf(carried)
  // A director gives equal questions one answer, the same object: most routes need one look at this set.
  const seen = new Set<ForwardingChoice>()
  const found = new Map<string, Unmarked>()
  for (const { routes } of carried) {
    for (const route of routes) {
      if (seen.has(route.choice)) continue
      seen.add(route.choice)
      const path = pathOf(director, route, { sources, udpPorts }, index)
      if (path === undefined) continue
      const key = pathKey(path)
      if (!found.has(key)) found.set(key, path)
    }
  }
  return withMarks(found)
}

function pathOf(
  director: DirectorSpec,
  { vip, port, serverPort, server, choice }: Route,
  { sources, udpPorts }: { readonly sources: Sources; readonly udpPorts: ReadonlyMap<Ip, Ports> },
  index: FleetIndex,
): Unmarked | undefined {
  if (!choice.ok) return undefined
  const { address, forwarding } = choice
  const family = familyOf(vip)
  const source = sources[family]
  // Nobody could answer a director that has no address of the VIP's family; Local Node is no way to anywhere.
  if (source === undefined || forwarding.method === 'local') return undefined
  return {
    realServer: server.name,
    family,
    address,
    port: serverPort === port ? 0 : serverPort,
    forwarding,
    mtu: mtuOf(director, server, { forwarding, address }, index),
    source,
    vip,
    closedPort: closedPort(udpPorts.get(vip) ?? []),
  }
}

/** The first of each family that is no VIP: with a VIP as its source no answer would come back. */
function sourcesOf({ addresses }: DirectorSpec, carried: readonly Carried[]): Sources {
  const vips = new Set(carried.flatMap(({ service }) => service.vips))
  const own = addresses.filter((address) => !vips.has(address))
  const sources: Partial<Record<Family, Ip>> = {}
  for (const address of own) sources[familyOf(address)] ??= address
  return sources
}

function mtuOf(
  director: DirectorSpec,
  server: RealServerSpec,
  { forwarding, address }: { readonly forwarding: Forwarding; readonly address: Ip },
  index: FleetIndex,
): number {
  const outer = index.pathMtu(director.site, server.site)
  switch (forwarding.method) {
    case 'tun':
      return innerMtu(outer, forwarding.tunnel, familyOf(address))
    case 'nat':
    case 'dr':
    case 'local':
      return outer
    default:
      return assertNever(forwarding)
  }
}

function udpPortsOf(carried: readonly Carried[]): ReadonlyMap<Ip, Ports> {
  const ports = new Map<Ip, Ports>()
  for (const { service } of carried) {
    if (service.protocol !== 'udp') continue
    const ranges = portRanges(service.ports)
    for (const vip of service.vips) ports.set(vip, [...(ports.get(vip) ?? []), ...ranges])
  }
  return ports
}

/** The least one from `CLOSED_PORT` upwards, and from 1 when those are taken. */
function closedPort(taken: Ports): number {
  const isTaken = (port: number): boolean =>
    taken.some(({ from, to }) => from <= port && port <= to)
  let port = CLOSED_PORT
  for (let n = 0; n < 65_535 && isTaken(port); n++) port = (port % 65_535) + 1
  return port
}

/** A hash of the key, so that nothing has to remember it; where two are equal the later one in order takes the next. */
function withMarks(found: ReadonlyMap<string, Unmarked>): PathState[] {
  const count = PROBE_MARKS.to - PROBE_MARKS.from + 1
  const taken = new Set<number>()
  return [...found]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, path]) => {
      let n = fnv1a32(key) % count
      while (taken.has(n)) n = (n + 1) % count
      taken.add(n)
      return { mark: PROBE_MARKS.from + n, ...path }
    })
}
