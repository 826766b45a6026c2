/** NAT on a director: the host must forward, and source NAT only works while IPVS tells conntrack of its packets. */
import { serviceFamily, type Family } from '@lvs-fleet/contract'
import type { Check, Found, InForceView } from '../check.ts'
import { sysctlCommands, sysctlText } from './sysctl-finding.ts'

const KEYS: Readonly<Record<Family, string>> = {
  ipv4: 'net.ipv4.ip_forward',
  ipv6: 'net.ipv6.conf.all.forwarding',
}

export const natForwarding: Check = {
  id: 'nat-forwarding',
  title: 'a director that uses NAT forwards',
  examine: ({ facts, state }) =>
    (['ipv4', 'ipv6'] as const).flatMap((family): Found[] => {
      const key = KEYS[family]
      if (!usesNat(state, family) || (facts.sysctls.get(key) ?? '1') === '1') return []
      return [
        {
          severity: 'broken',
          object: key,
          found: sysctlText(facts, key),
          wanted: '1',
          why: 'the answers of NAT real servers pass this host, and it drops what it may not forward',
          symptom: 'connections hang; on the director they pile up in SYN_RECV',
          commands: sysctlCommands(facts, key, '1'),
          fixable: true,
        },
      ]
    }),
}

const CONNTRACK = 'net.ipv4.vs.conntrack'

export const snatConntrack: Check = {
  id: 'snat-conntrack',
  title: 'source NAT of IPVS packets has vs.conntrack',
  examine: ({ facts, state }) => {
    const tables = facts.ruleset?.snatForIpvs ?? []
    const uses = usesNat(state, 'ipv4') || usesNat(state, 'ipv6')
    if (tables.length === 0 || !uses || facts.sysctls.get(CONNTRACK) !== '0') return []
    return [
      {
        severity: 'broken',
        object: CONNTRACK,
        found: `${sysctlText(facts, CONNTRACK)}, and table ${tables.join(', ')} has source NAT for IPVS`,
        wanted: '1',
        why: 'without it netfilter does not see connections of IPVS, and the rule silently does not apply',
        symptom: 'connections hang',
        commands: sysctlCommands(facts, CONNTRACK, '1'),
        fixable: false,
      },
    ]
  },
}

function usesNat(state: InForceView, family: Family): boolean {
  return state.services.some(
    (service) =>
      serviceFamily(service) === family &&
      service.destinations.some((d) => d.forwarding.method === 'nat'),
  )
}
