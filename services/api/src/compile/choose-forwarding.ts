/**
 * How director D reaches real server R for one VIP and port: the first method that is possible, and why
 * each other one is not. Pure. The order and the rules are the product's promise (`auto`):
 * Local Node, then DR, then TUN, then NAT.
 */
import {
  assertNever,
  cidrContains,
  describeTunnel,
  familyOf,
  type Family,
  type Forwarding,
  type Ip,
  type Tunnel,
  type TunnelType,
} from '@lvs-fleet/contract'
import type { DirectorSpec, RealServerSpec } from '../intent/kinds.ts'
import type { ForwardingRequest, TunnelRequest } from '../intent/pool.ts'
import type { FleetIndex } from './fleet-index.ts'
import { familyName, innerMtu, IPV6_MIN_MTU } from './mtu.ts'

export type ForwardingQuestion = {
  readonly director: DirectorSpec
  readonly server: RealServerSpec
  /** Family of the VIP: the address itself makes no difference. */
  readonly family: Family
  /** 0 = many, or whatever was marked. */
  readonly servicePort: number
  readonly serverPort: number
  readonly request: ForwardingRequest
  readonly tunnel: TunnelRequest
}

export type Method = 'local' | 'dr' | 'tun' | 'nat'
export type Refusal = { readonly method: Method; readonly reason: string }

export type ForwardingChoice =
  | {
      readonly ok: true
      readonly forwarding: Forwarding
      /** The real server's address that this director sends to. */
      readonly address: Ip
      /** NAT only: the director must put its own address in as the source. */
      readonly sourceNat?: true
      readonly why: string
      /** Methods that come earlier in the order and why they are not it. */
      readonly refusals: readonly Refusal[]
    }
  | { readonly ok: false; readonly refusals: readonly Refusal[] }

type Attempt =
  | {
      readonly forwarding: Forwarding
      readonly address: Ip
      readonly sourceNat?: true
      readonly why: string
    }
  | string

const ATTEMPTS: readonly (readonly [
  Method,
  (question: ForwardingQuestion, index: FleetIndex) => Attempt,
])[] = [
  ['local', tryLocal],
  ['dr', tryDirectRouting],
  ['tun', tryTunnel],
  ['nat', tryNat],
]

export function chooseForwarding(
  question: ForwardingQuestion,
  index: FleetIndex,
): ForwardingChoice {
  const refusals: Refusal[] = []
  for (const [method, attempt] of ATTEMPTS) {
    // Local Node is the kernel's decision and not the operator's, so it is looked at whatever is asked.
    if (method !== 'local' && question.request !== 'auto' && question.request !== method) continue
    const result = attempt(question, index)
    if (typeof result !== 'string') return { ok: true, ...result, refusals }
    refusals.push({ method, reason: result })
  }
  return { ok: false, refusals }
}

function tryLocal(question: ForwardingQuestion): Attempt {
  const { director, server, family, servicePort, serverPort } = question
  const shared = server.addresses.filter((address) => director.addresses.includes(address))
  if (shared.length === 0) return `${server.name} is not ${director.name} itself`
  const address = firstOf(shared, family)
  if (address === undefined) {
    return `${director.name} is ${server.name} itself, but has no ${familyName(family)} address for it`
  }
  if (servicePort !== serverPort) {
    const why = `${server.name} is ${director.name} itself; port ${serverPort} needs translation`
    return { forwarding: { method: 'nat' }, address, why }
  }
  return {
    forwarding: { method: 'local' },
    address,
    why: `${server.name} is ${director.name} itself`,
  }
}

function tryDirectRouting(question: ForwardingQuestion, index: FleetIndex): Attempt {
  const { director, server, family, servicePort, serverPort } = question
  if (servicePort !== serverPort) return portReason(serverPort, servicePort)
  if (firstOf(server.addresses, family) === undefined) return familyReason(server.name, family)
  if (director.site !== server.site) {
    return `${server.name} is in site ${server.site}, ${director.name} in ${director.site}: no common network`
  }
  for (const network of index.sites.get(director.site)?.networks ?? []) {
    for (const cidr of network.cidrs) {
      const address = server.addresses.find((own) => cidrContains(cidr, own))
      if (address === undefined || familyOf(address) !== family) continue
      if (!director.addresses.some((own) => cidrContains(cidr, own))) continue
      const why = `both have an address in network ${network.name} of site ${director.site}`
      return { forwarding: { method: 'dr' }, address, why }
    }
  }
  return `no network of site ${director.site} has an ${familyName(family)} address of both`
}

/** The first tunnel type of the real server, or the one asked for, that some outer family of both carries. */
function tryTunnel(question: ForwardingQuestion, index: FleetIndex): Attempt {
  const { director, server, family, servicePort, serverPort } = question
  if (servicePort !== serverPort) return portReason(serverPort, servicePort)
  if (server.addresses.some((address) => director.addresses.includes(address))) {
    return `${server.name} is ${director.name} itself: no tunnel to oneself`
  }
  if (server.decapsulates.length === 0) return `${server.name} decapsulates no tunnel type`
  const { tunnel: wanted } = question
  if (wanted !== 'auto' && !server.decapsulates.includes(wanted)) {
    return `${server.name} decapsulates ${server.decapsulates.join(', ')}, not ${wanted}: add it to decapsulates`
  }
  const reasons = new Set<string>()
  for (const type of wanted === 'auto' ? server.decapsulates : [wanted]) {
    const tunnel = tunnelTo(server, type)
    for (const outer of outerFamilies(family)) {
      const address = firstOf(server.addresses, outer)
      if (address === undefined || firstOf(director.addresses, outer) === undefined) {
        reasons.add(`not both have an ${familyName(outer)} address`)
        continue
      }
      const mtu = innerMtu(index.pathMtu(director.site, server.site), tunnel, outer)
      const tooSmall = mtuReason(mtu, tunnel, { inner: family, outer })
      if (tooSmall === undefined) {
        const why = `${server.name} decapsulates ${type} and both have an ${familyName(outer)} address`
        return { forwarding: { method: 'tun', tunnel }, address, why }
      }
      reasons.add(tooSmall)
    }
  }
  return [...reasons].join('; ')
}

/** The family of what is inside is tried first: its MTU answers reach the client. */
function outerFamilies(inner: Family): readonly Family[] {
  return inner === 'ipv4' ? ['ipv4', 'ipv6'] : ['ipv6', 'ipv4']
}

/** A tunnel type with the options of the real server that takes it off. */
function tunnelTo(server: RealServerSpec, type: TunnelType): Tunnel {
  switch (type) {
    case 'ipip':
      return { type }
    case 'gre':
      return { type, checksum: server.gre.checksum }
    case 'gue':
      return { type, port: server.gue.port, checksum: server.gue.checksum }
    default:
      return assertNever(type)
  }
}

/**
 * Why nothing useful fits. Over IPv6 the kernel drops without a word what would leave less than 1280 bytes
 * (ip_vs_xmit.c), whatever is inside.
 */
function mtuReason(
  mtu: number,
  tunnel: Tunnel,
  { inner, outer }: { readonly inner: Family; readonly outer: Family },
): string | undefined {
  if (mtu >= IPV6_MIN_MTU || (inner === 'ipv4' && outer === 'ipv4')) return undefined
  const within = `path MTU leaves ${mtu} bytes inside ${describeTunnel(tunnel)} over ${familyName(outer)}`
  return inner === 'ipv6'
    ? `${within}, IPv6 needs ${IPV6_MIN_MTU}`
    : `${within}, the kernel needs ${IPV6_MIN_MTU}`
}

function tryNat({ director, server, family }: ForwardingQuestion): Attempt {
  const address = firstOf(server.addresses, family)
  if (address === undefined) {
    return `${familyReason(server.name, family)}, and NAT cannot change the address family`
  }
  const forwarding = { method: 'nat' } as const
  if (server.gateway === director.name) {
    const why = `replies of ${server.name} return through ${director.name}, its gateway`
    return { forwarding, address, why }
  }
  if (server.natReturn !== 'snat') {
    return `replies of ${server.name} do not return through ${director.name} (its gateway is ${server.gateway ?? 'no director'}; natReturn snat would make them)`
  }
  if (firstOf(director.addresses, family) === undefined) return familyReason(director.name, family)
  const why = `${director.name} puts its own address in (natReturn snat), so replies of ${server.name} return to it`
  return { forwarding, address, sourceNat: true, why }
}

function firstOf(addresses: readonly Ip[], family: Family): Ip | undefined {
  return addresses.find((address) => familyOf(address) === family)
}

function familyReason(name: string, family: Family): string {
  return `${name} has no ${familyName(family)} address`
}

function portReason(serverPort: number, servicePort: number): string {
  if (servicePort === 0) return `cannot translate many ports to ${serverPort}: only NAT can`
  return `cannot translate port ${servicePort} to ${serverPort}: only NAT can`
}
