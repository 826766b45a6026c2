/**
 * Listeners: which services of the kernel one virtual service becomes. Few ports: one service each. Many: one
 * firewall-mark service per address family, and marks for their packets. Pure, and the same on every director.
 */
import {
  familyOf,
  fnv1a32,
  type Family,
  type Ip,
  type MarkState,
  type ServiceRef,
} from '@lvs-fleet/contract'
import type { VirtualServiceSpec } from '../intent/kinds.ts'
import { portCount, portRanges } from '../intent/ports.ts'
import { LISTENER_MARKS } from '../intent/service-rules.ts'

/**
 * Ports of one virtual service that become a kernel service each. Every one holds all destinations, so one changed
 * weight is this many messages, and persistence knows each port by itself; beyond it a mark is cheaper, but
 * needs nftables on the director.
 */
export const SINGLE_PORTS_MAX = 16

/** What clients address: one VIP, and the service that takes its packets. */
export type Listener = {
  readonly ref: ServiceRef
  readonly vip: Ip
  /** 0 where the service takes many ports. */
  readonly port: number
}

const known = new WeakMap<VirtualServiceSpec, readonly Listener[]>()

/** The same list, and the same refs, each time. */
export function listenersOf(service: VirtualServiceSpec): readonly Listener[] {
  const held = known.get(service)
  if (held !== undefined) return held
  const listeners = listListeners(service)
  known.set(service, listeners)
  return listeners
}

function listListeners(service: VirtualServiceSpec): Listener[] {
  const mark = markOf(service)
  if (mark !== null) {
    return service.vips.map((vip) => {
      const family: Family = familyOf(vip)
      return { ref: { protocol: 'fwmark', firewallMark: mark, family }, vip, port: 0 }
    })
  }
  const { protocol } = service
  const ports = singlePorts(service)
  return service.vips.flatMap((vip) =>
    ports.map((port) => ({ ref: { protocol, address: vip, port }, vip, port })),
  )
}

/** What the director marks itself; empty where the ports are few or the operator marks. */
export function marksOf(service: VirtualServiceSpec): MarkState[] {
  const mark = service.firewallMark === null ? markOf(service) : null
  if (mark === null) return []
  const { protocol } = service
  return service.vips.flatMap((address) =>
    portRanges(service.ports).map((ports) => ({ protocol, address, ports, mark })),
  )
}

/** The operator's mark, or the one that many ports need. */
function markOf(service: VirtualServiceSpec): number | null {
  if (service.firewallMark !== null) return service.firewallMark
  return portCount(portRanges(service.ports)) > SINGLE_PORTS_MAX ? chosenMark(service.name) : null
}

/** Always the same for a name, so that nothing has to remember it; two names may collide, which compile refuses. */
function chosenMark(name: string): number {
  const count = LISTENER_MARKS.to - LISTENER_MARKS.from + 1
  return LISTENER_MARKS.from + (fnv1a32(name) % count)
}

function singlePorts(service: VirtualServiceSpec): number[] {
  return portRanges(service.ports).flatMap(({ from, to }) =>
    Array.from({ length: to - from + 1 }, (_, i) => from + i),
  )
}
