/** Any sysctl of the state that no other check explains better. */
import { placeSysctls } from '../../plan/place-sysctls.ts'
import type { Check, Found } from '../check.ts'
import { sysctlCommands, sysctlText } from './sysctl-finding.ts'

/** Keys with a check of their own. */
const EXPLAINED =
  /\.(rp_filter|arp_ignore|arp_announce|ip_forward|forwarding|send_redirects|accept_local)$/

export const otherSysctls: Check = {
  id: 'sysctls',
  title: 'sysctls have the values of the state',
  examine: ({ facts, state }) =>
    placeSysctls(state.host, facts.network).sysctls.flatMap(({ key, value, accept }): Found[] => {
      const now = facts.sysctls.get(key)
      if (EXPLAINED.test(key) || now === value || (now !== undefined && accept.includes(now)))
        return []
      return [
        {
          severity: 'risk',
          object: key,
          found: sysctlText(facts, key),
          wanted: [value, ...accept.filter((other) => other !== value)].join(' or '),
          why: 'the state in force asks for it',
          symptom: 'depends on the setting: see ip-sysctl.rst and ipvs-sysctl.rst',
          commands: sysctlCommands(facts, key, value),
          fixable: true,
        },
      ]
    }),
}
