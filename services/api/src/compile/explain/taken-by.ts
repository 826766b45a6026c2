/**
 * Taken by: which service of one director's kernel takes a packet. Takes what is known of the packet and the virtual
 * services that the director carries; gives the one that matches and why, or what to ask instead. Pure.
 *
 * The kernel looks for the mark of a packet first, then for protocol, address and port (ip_vs_service_find,
 * ip_vs_ctl.c).
 */
import { familyOf, serviceKey, type Ip, type Protocol } from '@lvs-fleet/contract'
import type { VirtualServiceSpec } from '../../intent/kinds.ts'
import { portRanges } from '../../intent/ports.ts'
import { listenersOf, marksOf, type Listener } from '../listeners.ts'

/** What is known of a packet that a client sends; null = not said. */
export type PacketQuestion = {
  readonly director: string
  readonly vip: Ip
  readonly protocol: Protocol | null
  readonly port: number | null
  readonly firewallMark: number | null
  readonly client: Ip | null
}

export type Taken = {
  readonly service: VirtualServiceSpec
  readonly listener: Listener
  /** What the client asked for; null where any of many will do. */
  readonly port: number | null
  readonly because: string
}

/** More than one: the question must say more. None: nobody takes the packet. */
export function takenBy(
  question: PacketQuestion,
  carried: readonly VirtualServiceSpec[],
): readonly Taken[] {
  return carried.flatMap((service) =>
    listenersOf(service).flatMap((listener) => {
      if (listener.vip !== question.vip || !matches(question, service, listener)) return []
      const port = question.port ?? (listener.port === 0 ? null : listener.port)
      const because = reasonOf(question.director, service, listener)
      return [{ service, listener, port, because }]
    }),
  )
}

function matches(
  question: PacketQuestion,
  service: VirtualServiceSpec,
  { ref, port }: Listener,
): boolean {
  const { protocol, firewallMark } = question
  if (firewallMark !== null) return 'firewallMark' in ref && ref.firewallMark === firewallMark
  if (protocol !== null && protocol !== service.protocol) return false
  if (question.port === null) return true
  if (port !== 0) return port === question.port
  const wanted = question.port
  return portRanges(service.ports).some(({ from, to }) => from <= wanted && wanted <= to)
}

function reasonOf(director: string, service: VirtualServiceSpec, { ref, vip }: Listener): string {
  if (!('firewallMark' in ref)) return 'protocol, address and port are its own'
  if (service.firewallMark !== null) {
    return `you mark the packet with ${ref.firewallMark}, and the kernel looks at marks before addresses`
  }
  const ranges = marksOf(service)
    .filter(({ address }) => address === vip)
    .map(({ ports: { from, to } }) => (from === to ? `${from}` : `${from}-${to}`))
  return `nftables on ${director} marks ${service.protocol} to ${vip} ports ${ranges.join(', ')} with ${ref.firewallMark}, and the kernel looks at marks before addresses`
}

/** Marks of the operator's own that would lead the same packet elsewhere. */
export function otherMarks(taken: Taken, carried: readonly VirtualServiceSpec[]): string[] {
  const family = familyOf(taken.listener.vip)
  return carried.flatMap((service) =>
    service.firewallMark !== null &&
    service !== taken.service &&
    service.vips.some((vip) => familyOf(vip) === family)
      ? [
          `a packet that you mark with ${service.firewallMark} goes to ${service.name} instead: marks come before addresses`,
        ]
      : [],
  )
}

/** `tcp/10.1.0.100:80 (shop)`: for those who must say more. */
export function takenName({ service, listener }: Taken): string {
  return `${serviceKey(listener.ref)} (${service.name})`
}
