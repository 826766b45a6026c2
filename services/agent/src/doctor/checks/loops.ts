/** Directors that are real servers of each other: a packet that came by a tunnel must not be scheduled again. */
import type { Check } from '../check.ts'
import { sysctlCommands, sysctlText } from './sysctl-finding.ts'

const KEY = 'net.ipv4.vs.ignore_tunneled'

export const loops: Check = {
  id: 'director-loop',
  title: 'packets do not circle between directors',
  examine: ({ facts, state }) => {
    const unpacks = state.host.devices.some(({ kind }) => kind !== 'dummy')
    const isOwnServer = state.services.some(({ destinations }) =>
      destinations.some(({ forwarding }) => forwarding.method === 'local'),
    )
    if (!unpacks || !isOwnServer || facts.sysctls.get(KEY) !== '0') return []
    const expired = facts.counters.get('IcmpOutTimeExcds') ?? 0
    return [
      {
        severity: 'risk',
        object: KEY,
        found: `${sysctlText(facts, KEY)}; this host said "TTL exceeded" ${expired} times since boot`,
        wanted: '1',
        why: 'this host is director and tunnelled real server: what another director sent it would be scheduled once more, perhaps back',
        symptom: '"no route to host" for a share of clients, load on both directors',
        commands: sysctlCommands(facts, KEY, '1'),
        fixable: false,
      },
    ]
  },
}
