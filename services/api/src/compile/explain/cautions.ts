/** Cautions: what would surprise the one who asks: places where a packet takes another way than the path says. Pure. */
import { cidrContains, familyOf, type Family, type Ip } from '@lvs-fleet/contract'
import type { DirectorSpec, VirtualServiceSpec } from '../../intent/kinds.ts'
import type { Route } from '../destinations.ts'
import type { FleetIndex } from '../fleet-index.ts'
import { familyName, innerMtu, largestDatagram, mssFor } from '../mtu.ts'
import type { Hop } from './hop.ts'

/** Of the packet, wherever it goes. */
export function packetCautions(director: DirectorSpec, client: Ip | null): string[] {
  const stands = 'a connection that stands stays on its real server, whatever weights say now'
  if (client === null || !director.addresses.includes(client)) return [stands]
  return [
    stands,
    `the client is ${director.name} itself: its own packets meet IPVS on their way out, so this is no test of dr or tun`,
  ]
}

type Subject = {
  readonly director: DirectorSpec
  readonly service: VirtualServiceSpec
  readonly route: Route
  readonly client: Ip | null
  readonly index: FleetIndex
}

export function destinationCautions(subject: Subject): string[] {
  const { service, route, client } = subject
  const cautions: string[] = []
  const largest = datagramIn(subject)
  if (service.protocol === 'udp' && largest !== undefined) {
    cautions.push(`datagrams of more than ${largest} bytes are cut or lost: UDP has no MSS`)
  }
  if (!route.choice.ok) return cautions
  const { method } = route.choice.forwarding
  const { name, addresses } = route.server
  const family = familyOf(route.vip)
  if (addresses.every((address) => familyOf(address) !== family)) {
    cautions.push(
      `${name} answers over ${familyName(family)} without an address of it: it needs a route there, which nobody but you can set`,
    )
  }
  const { sourceNat } = route.choice
  if (sourceNat === true) {
    cautions.push(`${name} sees ${subject.director.name} as its client, and so do its logs`)
  }
  if (client === null) return cautions
  if ((method === 'dr' || method === 'tun') && addresses.includes(client)) {
    cautions.push(`the client is ${name}, which has the VIP itself: its packets never leave it`)
  }
  if (
    method === 'nat' &&
    sourceNat !== true &&
    !isDirector(subject) &&
    isNeighbour(subject, client)
  ) {
    cautions.push(
      `the client is in a network of ${name}, which answers it directly, past the director: the connection never stands`,
    )
  }
  return cautions
}

function datagramIn({ director, route, index }: Subject): number | undefined {
  if (!route.choice.ok || route.choice.forwarding.method !== 'tun') return undefined
  const path = index.pathMtu(director.site, route.server.site)
  const inside = innerMtu(path, route.choice.forwarding.tunnel, familyOf(route.choice.address))
  return largestDatagram(inside, familyOf(route.vip))
}

function isDirector({ director, route }: Subject): boolean {
  return route.choice.ok && director.addresses.includes(route.choice.address)
}

/** Two addresses of one network need no gateway. */
function isNeighbour({ route, index }: Subject, client: Ip): boolean {
  const networks = index.sites.get(route.server.site)?.networks ?? []
  return networks.some(({ cidrs }) =>
    cidrs.some(
      (cidr) =>
        cidrContains(cidr, client) && route.server.addresses.some((own) => cidrContains(cidr, own)),
    ),
  )
}

/** Where a segment that was announced is larger than what a network takes, only ICMP keeps uploads going. */
export function segmentCautions(path: readonly Hop[], family: Family): string[] {
  for (const { sends } of path) {
    if (sends === null || sends.mtu === null || sends.mss === null) continue
    const fits = mssFor(sends.mtu.bytes, family)
    if (sends.mss.bytes <= fits) continue
    return [
      `segments of ${sends.mss.bytes} bytes do not fit ${sends.mtu.bytes} (${sends.mtu.because}): uploads need the answer "too big" of ICMP to reach the client`,
    ]
  }
  return []
}
