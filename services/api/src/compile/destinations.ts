/**
 * Routes: for one director and one virtual service, each VIP with its destinations and how they came
 * about. Expanding the director's own state, the real servers' state and `explain` all start here, so
 * the three can never disagree.
 */
import { familyOf, type Placement } from '@lvs-fleet/contract'
import type {
  DirectorSpec,
  DrainSpec,
  RealServerSpec,
  VirtualServiceSpec,
} from '../intent/kinds.ts'
import type { Member } from '../intent/pool.ts'
import {
  chooseForwarding,
  type ForwardingChoice,
  type ForwardingQuestion,
} from './choose-forwarding.ts'
import type { FleetIndex, ResolvedMember } from './fleet-index.ts'
import { placementOf } from './levels.ts'
import { listenersOf, type Listener } from './listeners.ts'
import { effectiveWeight } from './weight.ts'

/** One member of the pool as this director sees it for one listener. */
export type Route = Listener & {
  readonly serverPort: number
  readonly server: RealServerSpec
  readonly member: Member
  /** Where the pool says so. */
  readonly memberPath: ResolvedMember['path']
  /** Undefined where the pool has no policy. */
  readonly placement: Placement | undefined
  readonly choice: ForwardingChoice
  /** What operators drain; null = nothing that concerns it. */
  readonly drain: DrainSpec | null
  readonly weight: number
  readonly weightReasons: readonly string[]
}

export function routesOf(
  director: DirectorSpec,
  service: VirtualServiceSpec,
  index: FleetIndex,
  choose: ForwardingChooser,
): Route[] {
  const routes: Route[] = []
  const members = index.membersOf(service.pool)
  const policy = index.policyOf(service.pool)
  for (const listener of listenersOf(service)) {
    const { vip, port } = listener
    for (const resolved of members) {
      const { member, server, path: memberPath } = resolved
      const serverPort = member.port ?? port
      const request = member.forwarding ?? service.forwarding
      const tunnel = member.tunnel ?? service.tunnel
      const choice = choose({
        director,
        server,
        family: familyOf(vip),
        servicePort: port,
        serverPort,
        request,
        tunnel,
      })
      const drain = index.drainOf(director.name, server, service.pool)
      const { weight, reasons } = effectiveWeight({ director, server, member, drain }, index)
      routes.push({
        ...listener,
        serverPort,
        server,
        member,
        memberPath,
        placement: policy === null ? undefined : placementOf(director, resolved, policy, index),
        choice,
        drain,
        weight,
        weightReasons: reasons,
      })
    }
  }
  return routes
}

export type ForwardingChooser = (question: ForwardingQuestion) => ForwardingChoice

/** A director asks the same question for every virtual service of a pool: one answer serves them all. */
export function createChooser(index: FleetIndex): ForwardingChooser {
  const choices = new Map<string, ForwardingChoice>()
  return (question) => {
    const { director, server, family, servicePort, serverPort, request, tunnel } = question
    const ports = servicePort === serverPort ? '' : `${servicePort}>${serverPort}`
    const key = `${director.name} ${server.name} ${family} ${request} ${tunnel} ${ports}`
    const known = choices.get(key)
    if (known !== undefined) return known
    const choice = chooseForwarding(question, index)
    choices.set(key, choice)
    return choice
  }
}
