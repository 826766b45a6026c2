/**
 * The way from a director to each real server. DR needs it on the same link, every method needs some, and a
 * tunnel must not start at a VIP: real servers take packets of the director's own addresses only.
 */
import {
  destinationKey,
  familyOf,
  serviceKey,
  type DestinationState,
  type Ip,
} from '@lvs-fleet/contract'
import type { RouteAnswer } from '../../kernel/inspect/inspector.ts'
import type { Check, Found, InForceView, Patient } from '../check.ts'

export const routeToRealServer: Check = {
  id: 'route-to-real-server',
  title: 'each real server has a route, and no tunnel starts at a VIP',
  examine: (patient) => perAddress(patient, noWay),
}

export const drOnLink: Check = {
  id: 'dr-on-link',
  title: 'real servers of DR are on-link and answer ARP or NDP',
  examine: (patient) => perAddress(patient, notOnLink),
}

type Leg = {
  readonly destination: DestinationState
  readonly service: string
  readonly route: RouteAnswer
}

/** Many virtual services lead to one address by one method: told once. */
function perAddress(patient: Patient, look: (leg: Leg, patient: Patient) => Found[]): Found[] {
  const found = new Map<string, Found[]>()
  for (const service of patient.state.services) {
    for (const destination of service.destinations) {
      const key = `${destination.address} ${destination.forwarding.method}`
      const route = patient.facts.routes.get(destination.address)
      if (route === undefined || found.has(key)) continue
      found.set(key, look({ destination, service: serviceKey(service), route }, patient))
    }
  }
  return [...found.values()].flat()
}

function noWay({ destination, service, route }: Leg, { facts, state }: Patient): Found[] {
  const { address, forwarding, realServer } = destination
  const object = `route to ${realServer} ${address}`
  if (!route.ok) {
    return [
      {
        severity: 'broken',
        object,
        found: `none: ${route.code}: ${route.message}`,
        wanted: `a route, for ${service} > ${destinationKey(destination)}`,
        why: 'IPVS drops what it cannot route',
        symptom:
          'the share of clients that this real server would serve hangs or gets "no route to host"',
        commands: [`ip route get ${address}`, '# add the missing route'],
        fixable: false,
      },
    ]
  }
  const { source } = route
  if (forwarding.method !== 'tun' || source === null || !vips(state).has(source)) return []
  // Picked because it is preferred: that is the finding of `vip6-preferred`.
  const isPreferred = facts.network.addresses.some(
    (one) => one.address === source && familyOf(source) === 'ipv6' && !one.deprecated,
  )
  if (isPreferred) return []
  return [
    {
      severity: 'broken',
      object,
      found: `packets would start at ${source}, a VIP`,
      wanted: "an address of this host's own",
      why: 'real servers decapsulate packets of the addresses that the intent declares, and of no others',
      symptom: 'the share of clients behind this tunnel hangs or is refused',
      commands: [
        `ip route get ${address}`,
        `# give that route a source of its own: ip route change … src ADDRESS`,
      ],
      fixable: false,
    },
  ]
}

function notOnLink({ destination, service, route }: Leg, { facts }: Patient): Found[] {
  const { address, realServer } = destination
  if (destination.forwarding.method !== 'dr' || !route.ok) return []
  const object = `${realServer} ${address}`
  if (route.gateway !== null) {
    return [
      {
        severity: 'broken',
        object,
        found: `behind the gateway ${route.gateway}`,
        wanted: `on the same link, for ${service} > ${destinationKey(destination)}`,
        why: 'DR changes the MAC address only: a router sends the packet, still addressed to the VIP, back to the director',
        symptom: 'the share of clients that this real server would serve gets "no route to host"',
        commands: [
          '# put both into one network, or set forwarding: tun for this member',
          ...(familyOf(address) === 'ipv4'
            ? [`ip route get ${address}`]
            : [`ip -6 route get ${address}`]),
        ],
        fixable: false,
      },
    ]
  }
  const silent = facts.neighbours.some(
    (one) => one.failed && one.address === address && one.linkIndex === route.linkIndex,
  )
  if (!silent) return []
  return [
    {
      severity: 'risk',
      object,
      found: 'nobody answers ARP or NDP for it',
      wanted: 'an answer',
      why: 'the director cannot send to it: it is down, or in another network',
      symptom: 'the share of clients that this real server would serve hangs',
      commands: [`ip neigh show ${address}`, `lvsfleet drain real-servers ${realServer}`],
      fixable: false,
    },
  ]
}

function vips(state: InForceView): ReadonlySet<Ip> {
  const named = state.services.flatMap((service) => ('address' in service ? [service.address] : []))
  return new Set([...named, ...state.host.marks.map(({ address }) => address)])
}
