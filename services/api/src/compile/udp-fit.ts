/**
 * UDP through tunnels: TCP is told an MSS that fits, UDP has none. Takes one director's routes; gives a warning for each
 * virtual service and path on which a datagram that the clients' networks carry does not fit the tunnel. Pure.
 *
 * IPVS answers "fragmentation needed" where the client forbids it, and cuts the outer packet where not
 * (ensure_mtu_is_adequate, ip_vs_xmit.c); both get lost in many networks, and IPv6 is never cut on its way.
 */
import { describeTunnel, familyOf, type Family, type Tunnel } from '@lvs-fleet/contract'
import type { DirectorSpec } from '../intent/kinds.ts'
import { problem, type Problem } from '../intent/problem.ts'
import { DEFAULT_MTU } from '../intent/site.ts'
import type { Route } from './destinations.ts'
import type { ServiceRoutes } from './expand-director.ts'
import type { FleetIndex } from './fleet-index.ts'
import { familyName, innerMtu, largestDatagram } from './mtu.ts'

type Path = {
  readonly site: string
  readonly tunnel: Tunnel
  readonly outer: Family
  readonly inner: Family
  readonly servers: Set<string>
}

export function datagramWarnings(
  director: DirectorSpec,
  carried: readonly ServiceRoutes[],
  index: FleetIndex,
): Problem[] {
  return carried.flatMap(({ service, routes }) => {
    if (service.protocol !== 'udp') return []
    const at = { kind: 'virtual-service', name: service.name, path: ['forwarding'] } as const
    return tunnelPaths(routes).flatMap((path) => {
      const text = misfit(director, path, index)
      return text === undefined ? [] : [problem(at, 'udp-mtu', `UDP of ${service.name} ${text}`)]
    })
  })
}

/** Ports and VIPs make no difference to what fits, so they are not looked at. */
function tunnelPaths(routes: readonly Route[]): Path[] {
  const paths = new Map<string, Path>()
  for (const { choice, server, vip } of routes) {
    if (!choice.ok || choice.forwarding.method !== 'tun') continue
    const { tunnel } = choice.forwarding
    const [outer, inner, site] = [familyOf(choice.address), familyOf(vip), server.site]
    const key = `${site} ${describeTunnel(tunnel)} ${outer} ${inner}`
    const path = paths.get(key) ?? { site, tunnel, outer, inner, servers: new Set<string>() }
    path.servers.add(server.name)
    paths.set(key, path)
  }
  return [...paths.values()]
}

function misfit(director: DirectorSpec, path: Path, index: FleetIndex): string | undefined {
  const { site, tunnel, outer, inner, servers } = path
  // What clients send arrives through networks that nobody described: Ethernet's size is the common one.
  const arriving = Math.min(DEFAULT_MTU, index.pathMtu(director.site, director.site))
  const between = index.pathMtu(director.site, site)
  const fits = innerMtu(between, tunnel, outer)
  if (fits >= arriving) return undefined
  const needed = arriving + between - fits
  const where =
    director.site === site ? `in site ${site}` : `between sites ${director.site} and ${site}`
  return `does not fit from ${director.name} to ${listed([...servers])}: ${describeTunnel(tunnel)} over ${familyName(outer)} leaves ${fits} of ${arriving} bytes, so datagrams of more than ${largestDatagram(fits, inner)} bytes are cut or lost: keep them smaller, carry ${needed} bytes ${where} (mtu of networks and paths), or take dr or nat`
}

const LISTED_MAX = 5

function listed(names: readonly string[]): string {
  const more = names.length - LISTED_MAX
  const shown = names.slice(0, LISTED_MAX).join(', ')
  return more > 0 ? `${shown} and ${more} more` : shown
}
