/**
 * accept_local where answers to probes come in: on a director that holds a VIP they carry an address of its own as
 * their source, and the kernel drops them as martians (fib_validate_source). Either of `all` and the interface's own
 * value is enough (IN_DEV_ACCEPT_LOCAL).
 */
import { placeSysctls } from '../../plan/place-sysctls.ts'
import type { Check, Found } from '../check.ts'
import { sysctlCommands, sysctlText } from './sysctl-finding.ts'

const ALL = 'net.ipv4.conf.all.accept_local'

export const acceptLocal: Check = {
  id: 'accept-local',
  title: 'answers to probes through the forwarding path come in',
  examine: ({ facts, state }) => {
    if (facts.sysctls.get(ALL) === '1') return []
    return placeSysctls(state.host, facts.network)
      .sysctls.filter(({ key }) => key.endsWith('.accept_local'))
      .flatMap(({ key }): Found[] => {
        if ((facts.sysctls.get(key) ?? '1') === '1') return []
        return [
          {
            severity: 'risk',
            object: key,
            found: sysctlText(facts, key),
            wanted: '1',
            why: 'real servers of DR and TUN answer a probe with the VIP as its source, which this host holds itself',
            symptom:
              'clients are served, but no IPv4 probe through the forwarding path is answered',
            commands: sysctlCommands(facts, key, '1'),
            fixable: true,
          },
        ]
      })
  },
}
