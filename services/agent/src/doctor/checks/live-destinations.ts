/** A virtual service needs one destination with a weight above 0; the kernel's own table counts where it was read. */
import { serviceKey, type ServiceState } from '@lvs-fleet/contract'
import type { Check, Found, Patient } from '../check.ts'

export const liveDestinations: Check = {
  id: 'no-live-destination',
  title: 'each virtual service has a destination with a weight above 0',
  examine: ({ facts, state }) =>
    state.services.flatMap((service): Found[] => {
      const weights = weightsOf(service, facts)
      if (weights.some((weight) => weight > 0)) return []
      return [
        {
          severity: 'broken',
          object: `virtual service ${serviceKey(service)} (${service.name})`,
          found:
            weights.length === 0
              ? 'no destination at all'
              : `all ${weights.length} destinations at weight 0`,
          wanted: 'one destination with a weight above 0',
          why: 'IPVS has nowhere to send new connections',
          symptom: 'connections are refused at once (ICMP port unreachable)',
          commands: [
            `lvsfleet explain ${service.name}`,
            '# it says which site, director, real server or member drains; end that, or: lvsfleet weight POOL REAL-SERVER N',
          ],
          fixable: false,
        },
      ]
    }),
}

function weightsOf(service: ServiceState, facts: Patient['facts']): readonly number[] {
  const seen = facts.destinations?.get(serviceKey(service))
  return (seen ?? service.destinations).map(({ weight }) => weight)
}
