/**
 * Reverse path filter on devices that unpack IPv4: the kernel looks at packets as if they came in by the
 * tunnel device, and the way back to the client never leads there. Strict (1) drops them all; loose (2)
 * drops them while the device has no IPv4 address (fib_validate_source).
 */
import { familyOf } from '@lvs-fleet/contract'
import type { Check, Found, Patient } from '../check.ts'
import { effective, sysctlCommands, sysctlText } from './sysctl-finding.ts'

export const rpFilter: Check = {
  id: 'rp-filter',
  title: 'the reverse path filter lets decapsulated packets in',
  examine: (patient) => unpackingIpv4(patient).flatMap((device) => examineDevice(device, patient)),
}

/** Devices that are to unpack IPv4 and stand: ipip, and ip6tnl where the state puts an IPv4 address on it. */
function unpackingIpv4({ facts, state }: Patient): string[] {
  return state.host.devices
    .filter(({ name, kind }) => kind === 'ipip' || (kind === 'ip6tnl' && wantsIpv4(name)))
    .map(({ name }) => name)
    .filter((name) => facts.network.links.some((link) => link.name === name))

  function wantsIpv4(device: string): boolean {
    return state.host.addresses.some(
      ({ address, place }) =>
        'device' in place && place.device === device && familyOf(address) === 'ipv4',
    )
  }
}

function examineDevice(device: string, { facts }: Patient): Found[] {
  const value = effective(facts, device, 'rp_filter')
  const hasIpv4 = facts.network.addresses.some(
    ({ address, linkIndex }) =>
      familyOf(address) === 'ipv4' &&
      facts.network.links.some((link) => link.name === device && link.index === linkIndex),
  )
  if (value === undefined || value === 0 || (value === 2 && hasIpv4)) return []
  const keys = [`net.ipv4.conf.all.rp_filter`, `net.ipv4.conf.${device}.rp_filter`]
  const strict = keys.filter((key) => facts.sysctls.get(key) === '1')
  const dropped = facts.counters.get('TcpExtIPReversePathFilter') ?? 0
  return [
    {
      severity: 'broken',
      object: `device ${device}`,
      found: `${keys.map((key) => sysctlText(facts, key)).join(', ')}: ${value} counts${value === 2 ? `, and ${device} has no IPv4 address` : ''}; ${dropped} packets dropped since boot`,
      wanted: '0, or 2 with an IPv4 address on the device',
      why: 'the larger of both values counts, and the way back to a client never leads through the tunnel',
      symptom:
        'the share of clients that comes through this tunnel hangs; TcpExtIPReversePathFilter grows',
      commands:
        value === 1
          ? strict.flatMap((key) => sysctlCommands(facts, key, key === keys[0] ? '2' : '0'))
          : keys.flatMap((key) => sysctlCommands(facts, key, '0')),
      fixable: true,
    },
  ]
}
