/** A drained destination of a persistent virtual service still gets its old clients unless templates expire. */
import { serviceKey } from '@lvs-fleet/contract'
import type { Check, Found } from '../check.ts'
import { sysctlCommands, sysctlText } from './sysctl-finding.ts'

const KEY = 'net.ipv4.vs.expire_quiescent_template'

export const persistenceDrain: Check = {
  id: 'persistence-drain',
  title: 'destinations that drain get no old clients of persistence',
  examine: ({ facts, state }) =>
    state.services.flatMap((service): Found[] => {
      const drained = service.destinations.filter(({ weight }) => weight === 0)
      if (service.persistence === null || drained.length === 0) return []
      if (drained.length === service.destinations.length || facts.sysctls.get(KEY) !== '0')
        return []
      return [
        {
          severity: 'risk',
          object: `virtual service ${serviceKey(service)} (${service.name})`,
          found: `${drained.length} destinations at weight 0, ${sysctlText(facts, KEY)}`,
          wanted: `1, or ${service.persistence.timeoutSeconds} s of patience after a client's last connection`,
          why: 'known clients still open new connections to a drained real server while their template lives',
          symptom: 'a drained real server never becomes idle',
          commands: sysctlCommands(facts, KEY, '1'),
          fixable: false,
        },
      ]
    }),
}
