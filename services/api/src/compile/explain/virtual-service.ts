/** Explain: for one virtual service, how each director reaches each real server, and why. Pure; reads the same routes that compile expands. */
import { describeForwarding, serviceKey, type Ip } from '@lvs-fleet/contract'
import type { Fleet } from '../../intent/fleet.ts'
import type { Refusal } from '../choose-forwarding.ts'
import { createChooser, routesOf } from '../destinations.ts'
import { indexFleet } from '../fleet-index.ts'

export type Explanation = {
  readonly director: string
  /** `tcp/10.1.0.100:80`, `fwmark/7/ipv4` */
  readonly service: string
  readonly realServer: string
  readonly realServerSite: string
  /** `dr`, `nat`, `local`, `tun ipip`, `tun gue 6080`; null when nothing is possible. */
  readonly forwarding: string | null
  readonly address: Ip | null
  /** 0 = the one that the client asked for. */
  readonly port: number
  readonly weight: number
  /** Why the weight is not the member's own; empty when it is. */
  readonly weightReasons: readonly string[]
  readonly why: string
  /** Methods that were passed over, each with its reason. */
  readonly passedOver: readonly Refusal[]
}

export function explainVirtualService(fleet: Fleet, name: string): Explanation[] {
  const index = indexFleet(fleet)
  const choose = createChooser(index)
  const explanations: Explanation[] = []
  for (const director of index.directors) {
    for (const service of index.carriedBy.get(director.name) ?? []) {
      if (service.name !== name) continue
      for (const route of routesOf(director, service, index, choose)) {
        const { choice } = route
        explanations.push({
          director: director.name,
          service: serviceKey(route.ref),
          realServer: route.server.name,
          realServerSite: route.server.site,
          forwarding: choice.ok ? describeForwarding(choice.forwarding) : null,
          address: choice.ok ? choice.address : null,
          port: route.serverPort,
          weight: route.weight,
          weightReasons: route.weightReasons,
          why: choice.ok ? choice.why : 'no method is possible',
          passedOver: choice.refusals,
        })
      }
    }
  }
  return explanations
}
