/**
 * Packet path: the hops of a request to one destination and of its reply, with what each network lets through. Takes
 * a route that compile has chosen and the compiled state of the real server; gives hops in their order. Pure.
 */
import { assertNever, cidrContains, familyOf, type HostState, type Ip } from '@lvs-fleet/contract'
import type { DirectorSpec, VirtualServiceSpec } from '../../intent/kinds.ts'
import type { Route } from '../destinations.ts'
import { VIP_DEVICE } from '../expand-real-server.ts'
import type { FleetIndex } from '../fleet-index.ts'
import { mssFor } from '../mtu.ts'
import type { Hop, Limit, Packet } from './hop.ts'
import { tunnelLeg } from './tunnel-leg.ts'

export type PathQuestion = {
  readonly director: DirectorSpec
  readonly service: VirtualServiceSpec
  readonly route: Route
  readonly port: number | null
  readonly client: Ip | null
  /** Compiled state of the machine that the real server is on. */
  readonly serverState: HostState
  readonly index: FleetIndex
}

/** Empty where no method is possible. */
export function packetPath(question: PathQuestion): Hop[] {
  const { director, route } = question
  if (!route.choice.ok) return []
  const { forwarding, address } = route.choice
  const carry = {
    ...requestOf(question),
    mtu: limitBetween(question, director.site, route.server.site),
  }
  const at = { role: 'director', at: director.name } as const
  const server = { role: 'real-server', at: route.server.name } as const
  switch (forwarding.method) {
    case 'local':
      return [
        ...arrival(question),
        ...answer(question, at, 'takes it itself: it is the real server'),
      ]
    case 'dr':
      return [
        ...arrival(question),
        { ...at, does: `sends it unchanged to the link-layer address of ${address}`, sends: carry },
        ...answer(question, server, `takes it: the VIP is on ${VIP_DEVICE}, silent to neighbours`),
      ]
    case 'tun': {
      const leg = tunnelLeg(question, forwarding.tunnel, address)
      return [
        ...arrival(question),
        { ...at, does: leg.wraps, sends: { ...carry, outer: leg.outer, mtu: leg.mtu } },
        ...answer(question, server, leg.unwraps),
      ]
    }
    case 'nat':
      return [...arrival(question), ...translated(question, address, carry)]
    default:
      return assertNever(forwarding)
  }
}

/** The client, and the router between it and the director unless both are in one network. */
function arrival(question: PathQuestion): Hop[] {
  const { director, client, route, index } = question
  const sends = requestOf(question)
  const name = client ?? 'client'
  if (client !== null && shareNetwork(question, client, route.vip)) {
    const does = `finds ${route.vip} in its own network`
    return [{ role: 'client', at: name, does, sends }]
  }
  const isKnown = client !== null && siteOf(index, client) !== undefined
  return [
    {
      role: 'client',
      at: name,
      does: 'sends it to its router',
      sends: isKnown ? sends : { ...sends, mtu: null },
    },
    { role: 'router', at: 'router', does: `brings it to ${director.name}`, sends },
  ]
}

function requestOf(question: PathQuestion): Packet {
  const { client, route, director, port } = question
  return {
    source: client ?? 'client',
    destination: withPort(route.vip, port),
    outer: null,
    mtu: limitBetween(question, director.site, director.site),
    mss: segments(question),
  }
}

/** What the client may put in one segment: what the answering host announced. */
function segments(question: PathQuestion): Limit | null {
  const { route, service, serverState, index } = question
  if (service.protocol !== 'tcp') return null
  const { name, site } = route.server
  const clamp = serverState.clamps.find(({ address }) => address === route.vip)
  const own = index.explainPathMtu(site, site)
  const announced = mssFor(own.bytes, familyOf(route.vip))
  return clamp !== undefined && clamp.mss < announced && route.choice.ok
    ? { bytes: clamp.mss, because: `nftables on ${name} sets it in its SYN-ACK` }
    : { bytes: announced, because: `${name} announces what its interface takes: ${own.because}` }
}

/** The machine that takes the packet answers the client itself, from the VIP; only NAT comes back by the director. */
function answer(question: PathQuestion, at: Pick<Hop, 'role' | 'at'>, takes: string): Hop[] {
  const { route, client, port } = question
  const { site } = route.server
  const name = client ?? 'client'
  const sends: Packet = {
    source: withPort(route.vip, port),
    destination: name,
    outer: null,
    mtu: limitBetween(question, site, site),
    mss: null,
  }
  return [
    { ...at, does: takes, sends: null },
    { ...at, does: 'answers from the VIP, without the director', sends },
    { role: 'client', at: name, does: 'gets the answer', sends: null },
  ]
}

/** NAT: there and back through the director, which changes the real server's end, and the client's where SNAT does. */
function translated(question: PathQuestion, address: Ip, carry: Packet): Hop[] {
  const { director, route, client, port } = question
  const { server, serverPort } = route
  const target = withPort(address, serverPort === 0 ? port : serverPort)
  const name = client ?? 'client'
  const at = { role: 'director', at: director.name } as const
  const own = sourceOf(question)
  const seen = own ?? name
  const swaps = own === null ? '' : `, and ${own} of ${name}`
  const restores = own === null ? '' : `, and ${name} of ${own}`
  const there: Packet = { ...carry, source: seen, destination: target }
  const back: Packet = { ...carry, source: target, destination: seen, mss: null }
  const out: Packet = { ...requestOf(question), source: carry.destination, destination: name }
  const replies: Hop = {
    role: 'real-server',
    at: server.name,
    does: `answers ${own === null ? 'by its gateway ' : ''}${director.name}`,
    sends: back,
  }
  return [
    { ...at, does: `makes ${target} of ${carry.destination}${swaps}`, sends: there },
    ...(director.addresses.includes(address) ? [] : [replies]),
    {
      ...at,
      does: `makes ${carry.destination} of ${target}${restores} in the answer`,
      sends: { ...out, mss: null },
    },
    { role: 'client', at: name, does: 'gets the answer', sends: null },
  ]
}

/** What the director puts in as the source; its route picks one of several. */
function sourceOf({ director, route }: PathQuestion): string | null {
  if (!route.choice.ok || route.choice.sourceNat !== true) return null
  const family = familyOf(route.choice.address)
  return director.addresses.filter((own) => familyOf(own) === family).join('|')
}

function limitBetween({ index }: PathQuestion, from: string, to: string): Limit {
  return index.explainPathMtu(from, to)
}

function shareNetwork({ director, index }: PathQuestion, client: Ip, vip: Ip): boolean {
  const networks = index.sites.get(director.site)?.networks ?? []
  return networks.some(({ cidrs }) =>
    cidrs.some((cidr) => cidrContains(cidr, client) && cidrContains(cidr, vip)),
  )
}

function siteOf(index: FleetIndex, address: Ip): string | undefined {
  for (const { name, networks } of index.sites.values()) {
    if (networks.some(({ cidrs }) => cidrs.some((cidr) => cidrContains(cidr, address)))) return name
  }
  return undefined
}

function withPort(address: Ip, port: number | null): string {
  const text = familyOf(address) === 'ipv6' ? `[${address}]` : address
  return port === null ? address : `${text}:${port}`
}
