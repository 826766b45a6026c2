/**
 * VIPs on a director: each must be delivered to this host, or IPVS never sees its packets. IPv6 ones must not
 * stand on lo (nobody answers NDP there) and must never be picked as a source: the outer source of a tunnel
 * packet would be the VIP, which the real server owns too, and ip6_tunnel drops it without counting.
 */
import { familyOf, type AddressState, type Ip } from '@lvs-fleet/contract'
import type { Check, Found, Patient } from '../check.ts'

export const vipOnDirector: Check = {
  id: 'vip-on-director',
  title: 'each VIP stands on the director',
  examine: ({ facts, state }) =>
    directorVips(state.host.addresses).flatMap(({ address, anchor }): Found[] => {
      if (facts.network.addresses.some((held) => held.address === address)) return []
      // A VIP without its anchor is the finding of `network-namespace`.
      const link = linkOf(facts, anchor)
      if (link === undefined) return []
      return [
        {
          severity: 'broken',
          object: `VIP ${address}`,
          found: 'on no interface of this host',
          wanted: `on ${link.name}`,
          why: 'IPVS only sees packets that are delivered to this host',
          symptom: 'connections to the VIP hang; counters of its virtual services stay at 0',
          commands: [addCommand(address, link.name)],
          fixable: true,
        },
      ]
    }),
}

export const vipOnLoopback: Check = {
  id: 'vip6-on-loopback',
  title: 'no IPv6 VIP of the director stands on lo',
  examine: ({ facts, state }) =>
    directorVips(state.host.addresses).flatMap(({ address, anchor }): Found[] => {
      if (familyOf(address) !== 'ipv6') return []
      const held = facts.network.addresses.filter((one) => one.address === address)
      const names = held.map((one) => nameOf(facts, one.linkIndex))
      if (held.length === 0 || names.some((name) => name !== 'lo')) return []
      const link = linkOf(facts, anchor)?.name ?? 'eth0'
      return [
        {
          severity: 'broken',
          object: `VIP ${address}`,
          found: 'on lo only',
          wanted: `on ${link}, or a /128 route to this host on the router`,
          why: 'the kernel answers no neighbour solicitation for addresses of lo',
          symptom: 'connections to the IPv6 VIP hang, IPv4 works',
          commands: [addCommand(address, link), `ip -6 addr del ${address}/128 dev lo`],
          fixable: false,
        },
      ]
    }),
}

export const vipPreferred: Check = {
  id: 'vip6-preferred',
  title: 'no IPv6 VIP is picked as a source address',
  examine: ({ facts, state }) =>
    directorVips(state.host.addresses).flatMap(({ address }): Found[] => {
      if (familyOf(address) !== 'ipv6') return []
      const held = facts.network.addresses.find((one) => one.address === address)
      if (held === undefined || held.deprecated) return []
      const device = nameOf(facts, held.linkIndex)
      return [
        {
          severity: 'broken',
          object: `VIP ${address}`,
          found: `preferred on ${device}: the kernel may send from it`,
          wanted: 'preferred lifetime 0',
          why: 'as source of a tunnel packet it is dropped by real servers, which own it too, without any counter',
          symptom: 'clients of real servers behind IPv6 tunnels hang or are refused',
          commands: [
            `ip -6 addr change ${address}/${held.prefixLength} dev ${device} preferred_lft 0`,
          ],
          fixable: true,
        },
      ]
    }),
}

/** What stands beside an address of the host is a director's; a real server's has a device of its own. */
function directorVips(addresses: readonly AddressState[]): { address: Ip; anchor: Ip }[] {
  return addresses.flatMap(({ address, place }) =>
    'holding' in place ? [{ address, anchor: place.holding }] : [],
  )
}

function linkOf({ network }: Patient['facts'], anchor: Ip) {
  const held = network.addresses.find((one) => one.address === anchor)
  return network.links.find((link) => link.index === held?.linkIndex)
}

function nameOf({ network }: Patient['facts'], index: number): string {
  return network.links.find((link) => link.index === index)?.name ?? `interface ${index}`
}

function addCommand(address: Ip, device: string): string {
  return familyOf(address) === 'ipv4'
    ? `ip addr add ${address}/32 dev ${device}`
    : `ip -6 addr add ${address}/128 dev ${device} nodad preferred_lft 0`
}
