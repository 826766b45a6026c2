/** NAT on a director: the host must forward, and source NAT only works while IPVS tells conntrack of its packets. */
import { serviceFamily, type Family } from '@lvs-fleet/contract'
import { placeSysctls } from '../../plan/place-sysctls.ts'
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

/**
 * A director that sends an answer out of the interface by which it came tells the real server of the shorter way
 * (net/ipv4/ip_forward.c, RTCF_DOREDIRECT); the larger of `all` and the interface's own value counts.
 */
export const natRedirects: Check = {
  id: 'nat-redirects',
  title: 'a director that uses NAT sends no ICMP redirects',
  examine: ({ facts, state }) =>
    placeSysctls(state.host, facts.network)
      .sysctls.filter(({ key }) => key.endsWith('.send_redirects'))
      .flatMap(({ key }): Found[] => {
        if ((facts.sysctls.get(key) ?? '0') === '0') return []
        return [
          {
            severity: 'broken',
            object: key,
            found: sysctlText(facts, key),
            wanted: '0',
            why: 'real servers in the network of the director learn to send answers past it, with their own address',
            symptom: 'connections stand for a moment, then hang; large answers never end',
            commands: [
              ...sysctlCommands(facts, key, '0'),
              '# on the real server: ip route flush cache',
            ],
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
