/**
 * VIPs on a real server: each stands on its device, and nobody in the network hears of it. Without arp_ignore
 * the real server answers ARP for the VIP and takes all its traffic past the director.
 */
import { familyOf } from '@lvs-fleet/contract'
import type { ObservedLink } from '../../kernel/kernel.ts'
import type { Check, Found, Patient } from '../check.ts'
import { effective, sysctlCommands, sysctlText } from './sysctl-finding.ts'

export const vipOnRealServer: Check = {
  id: 'vip-on-real-server',
  title: 'each VIP stands on the device that the state names',
  examine: ({ facts, state }) =>
    state.host.addresses.flatMap(({ address, place }): Found[] => {
      if (!('device' in place)) return []
      const link = facts.network.links.find(({ name }) => name === place.device)
      // Without its device there is nothing to stand on: that is the finding of `tunnel-device`.
      if (link === undefined) return []
      const { addresses } = facts.network
      if (addresses.some((one) => one.address === address && one.linkIndex === link.index))
        return []
      const isTunnel = link.kind !== 'dummy'
      const [prefix, flags] =
        familyOf(address) === 'ipv4' ? ['32', ''] : ['128', ' nodad preferred_lft 0']
      return [
        {
          severity: 'broken',
          object: isTunnel ? `address ${address}` : `VIP ${address}`,
          found: `not on ${place.device}`,
          wanted: `on ${place.device}`,
          why: isTunnel
            ? 'with rp_filter 2 a tunnel device without an IPv4 address drops what it unpacks'
            : 'packets for the VIP reach this host, and it does not take them for its own',
          symptom: 'the share of clients that this real server would serve hangs',
          commands: [`ip addr add ${address}/${prefix} dev ${place.device}${flags}`],
          fixable: true,
        },
      ]
    }),
}

/** Who answers for an address that stands on the interface itself is not asked about arp_ignore, and IPv6 has no such sysctl. */
export const vipOnOtherInterface: Check = {
  id: 'vip-on-other-interface',
  title: 'no VIP of a real server stands on an interface that neighbours ask on',
  examine: (patient) =>
    patient.state.host.addresses.flatMap(({ address, place }): Found[] => {
      if (!('device' in place) || !isDummy(patient, place.device)) return []
      const { links, addresses } = patient.facts.network
      return links.filter(isAskedOn).flatMap(({ name, index }): Found[] => {
        const held = addresses.find((one) => one.address === address && one.linkIndex === index)
        if (held === undefined || name === place.device) return []
        return [
          {
            severity: 'broken',
            object: `VIP ${address}`,
            found: `on ${name}, and not by the agent`,
            wanted: `on ${place.device} alone`,
            why: `neighbours on ${name} get an answer for the VIP from this host, whatever arp_ignore says`,
            symptom: SILENCE_BROKEN,
            commands: [
              `ip addr del ${address}/${held.prefixLength} dev ${name}`,
              '# then on router and neighbours: ip neigh flush to the VIP',
            ],
            fixable: false,
          },
        ]
      })
    }),
}

const SILENCE_BROKEN =
  'one real server takes all traffic of its network, while the counters of the director stand still'

const RULES = [
  {
    name: 'arp_ignore',
    fits: (value: number) => value === 1 || value === 2,
    wanted: '1',
    why: 'this host answers ARP for VIPs that stand on another interface',
  },
  {
    name: 'arp_announce',
    fits: (value: number) => value === 2,
    wanted: '2',
    why: 'this host may ask its neighbours in the name of a VIP, and they learn its MAC address for it',
  },
] as const

export const arpSysctls: Check = {
  id: 'arp-sysctls',
  title: 'a real server keeps silent about IPv4 VIPs (arp_ignore, arp_announce)',
  examine: (patient) => {
    const holdsVips = patient.state.host.addresses.some(
      ({ address, place }) =>
        'device' in place && isDummy(patient, place.device) && familyOf(address) === 'ipv4',
    )
    if (!holdsVips) return []
    return RULES.flatMap((rule) => {
      const bad = askedDevices(patient).filter((device) => {
        const value = effective(patient.facts, device, rule.name)
        return value !== undefined && !rule.fits(value)
      })
      return bad.length === 0 ? [] : [arpFinding(patient, rule, bad)]
    })
  },
}

function arpFinding(
  { facts }: Patient,
  rule: (typeof RULES)[number],
  devices: readonly string[],
): Found {
  const all = `net.ipv4.conf.all.${rule.name}`
  const keys = [all, ...devices.map((device) => `net.ipv4.conf.${device}.${rule.name}`)]
  return {
    severity: 'broken',
    object: all,
    found: keys.map((key) => sysctlText(facts, key)).join(', '),
    wanted: `${rule.wanted} (the larger of all and the interface's own counts)`,
    why: rule.why,
    symptom: SILENCE_BROKEN,
    commands: [
      ...sysctlCommands(facts, all, rule.wanted),
      '# then on router and neighbours: ip neigh flush to the VIP',
    ],
    fixable: true,
  }
}

/** Interfaces on which neighbours ask: with an IPv4 address, up, neither lo nor of the agent's making. */
function askedDevices({ facts, state }: Patient): string[] {
  const own = new Set(state.host.devices.map(({ name }) => name))
  return facts.network.links
    .filter((link) => isAskedOn(link) && !own.has(link.name))
    .filter(({ index }) =>
      facts.network.addresses.some(
        (one) => one.linkIndex === index && familyOf(one.address) === 'ipv4',
      ),
    )
    .map(({ name }) => name)
}

const TUNNELS = new Set(['ipip', 'sit', 'ip6tnl', 'gre', 'ip6gre', 'dummy'])

function isAskedOn({ name, up, kind }: ObservedLink): boolean {
  return up && name !== 'lo' && !TUNNELS.has(kind)
}

function isDummy({ state }: Patient, device: string): boolean {
  return state.host.devices.some(({ name, kind }) => name === device && kind === 'dummy')
}
