/** Tunnel leg: what the director puts around a packet and what takes it off again, with what is left inside. Pure. */
import {
  assertNever,
  describeTunnel,
  familyOf,
  type Family,
  type Ip,
  type Tunnel,
} from '@lvs-fleet/contract'
import { VIP_DEVICE } from '../expand-real-server.ts'
import { familyName, innerMtu } from '../mtu.ts'
import type { Limit, Outer } from './hop.ts'
import type { PathQuestion } from './packet-path.ts'

export type TunnelLeg = {
  readonly wraps: string
  readonly unwraps: string
  readonly outer: Outer
  readonly mtu: Limit
}

export function tunnelLeg(question: PathQuestion, tunnel: Tunnel, address: Ip): TunnelLeg {
  const { director, route, index } = question
  const family = familyOf(address)
  const sources = director.addresses.filter((own) => familyOf(own) === family)
  const path = index.explainPathMtu(director.site, route.server.site)
  const inside = innerMtu(path.bytes, tunnel, family)
  const bytes = path.bytes - inside
  const text = `${describeTunnel(tunnel)} over ${familyName(family)}`
  return {
    wraps: `puts ${text} around it`,
    unwraps: `${takesOff(question, tunnel, address, sources)}; the VIP is on ${VIP_DEVICE}`,
    outer: {
      sources,
      destination: address,
      tunnel: describeTunnel(tunnel),
      protocol: outerProtocol(tunnel, familyOf(route.vip)),
      port: tunnel.type === 'gue' ? tunnel.port : null,
      bytes,
    },
    mtu: {
      bytes: inside,
      because: `${path.bytes} (${path.because}) less ${bytes} of ${text}`,
    },
  }
}

/** By the devices that compile gave the real server: one for each address that the director may send from. */
function takesOff(
  { serverState, route }: PathQuestion,
  tunnel: Tunnel,
  address: Ip,
  sources: readonly Ip[],
): string {
  const kinds = deviceKinds(tunnel, familyOf(route.vip))
  const devices = serverState.devices.flatMap((device) =>
    device.kind !== 'dummy' &&
    kinds.includes(device.kind) &&
    device.local === address &&
    sources.includes(device.remote)
      ? [device.name]
      : [],
  )
  const port = tunnel.type === 'gue' ? `UDP port ${tunnel.port} and ` : ''
  return `${port}${devices.join(', ')} take${devices.length === 1 && port === '' ? 's' : ''} the tunnel off`
}

function deviceKinds(tunnel: Tunnel, inner: Family): readonly string[] {
  if (tunnel.type === 'gre') return ['gre', 'ip6gre']
  return inner === 'ipv4' ? ['ipip', 'ip6tnl'] : ['sit', 'ip6tnl']
}

/** Numbers of IANA's protocol registry, as a firewall between the two would see them. */
function outerProtocol(tunnel: Tunnel, inner: Family): number {
  switch (tunnel.type) {
    case 'ipip':
      return inner === 'ipv4' ? 4 : 41
    case 'gre':
      return 47
    case 'gue':
      return 17
    default:
      return assertNever(tunnel)
  }
}
