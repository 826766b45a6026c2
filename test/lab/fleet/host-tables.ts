/** Generated devices, addresses and GUE ports of one host, and what `ip` prints of them. */
import {
  familyOf,
  hostPrefixLength,
  ip,
  type AddressState,
  type DeviceState,
  type Family,
  type GuePortState,
  type HostState,
  type Ip,
} from '@lvs-fleet/contract'
import fc from 'fast-check'
import type { Lab } from '../lab.ts'
import { findHost } from '../topology.ts'
import { ipJson } from '../kernel/ip-json.ts'

export type HostTable = Pick<HostState, 'devices' | 'addresses' | 'guePorts'>

export const NO_HOST_TABLE: HostTable = { devices: [], addresses: [], guePorts: [] }

/** Ends of tunnels and addresses per kind: few, so that successive tables share some. */
const POOL = 12
const DEVICE_PREFIX = 'lvsf'
/** Addresses that nothing else in the lab has, so that what ip shows of them is ours. */
const ADDRESS_NET = { ipv4: '10.3.0.', ipv6: 'fd03::' } as const
const TUNNEL_KINDS = {
  ipip: 'ipv4',
  sit: 'ipv4',
  gre: 'ipv4',
  ip6tnl: 'ipv6',
  ip6gre: 'ipv6',
} as const satisfies Record<string, Family>

export function hostTableOf(lab: Lab, host: string): fc.Arbitrary<HostTable> {
  const { v4, v6 } = findHost(lab.topology, host)
  const own = { ipv4: ip(v4), ipv6: ip(v6) }
  const devices = fc.uniqueArray(deviceOf(own), { maxLength: 30, selector: ({ name }) => name })
  return devices.chain((made) =>
    fc.record({
      devices: fc.constant(made),
      addresses: fc.uniqueArray(addressOn(made, own), {
        maxLength: POOL,
        selector: ({ address }) => address,
      }),
      guePorts: fc.uniqueArray(guePortOn(own), {
        maxLength: POOL,
        selector: ({ address, port }) => `${address} ${port}`,
      }),
    }),
  )
}

/** The name follows from the ends, as compile names devices: one that has other ends is another device. */
function deviceOf(own: Readonly<Record<Family, Ip>>): fc.Arbitrary<DeviceState> {
  const dummy = fc
    .integer({ min: 1, max: POOL })
    .map((n): DeviceState => ({ name: `${DEVICE_PREFIX}-d${n}`, kind: 'dummy' }))
  const kinds = Object.keys(TUNNEL_KINDS) as (keyof typeof TUNNEL_KINDS)[]
  const tunnel = fc
    .tuple(fc.constantFrom(...kinds), fc.integer({ min: 1, max: POOL }), fc.boolean())
    .map(([kind, n, checksum]): DeviceState => {
      const local = own[TUNNEL_KINDS[kind]]
      const remote = ip(familyOf(local) === 'ipv4' ? `10.4.0.${n}` : `fd04::${n}`)
      const ends = { name: `${DEVICE_PREFIX}-${kind}${n}`, local, remote }
      return kind === 'gre' || kind === 'ip6gre' ? { ...ends, kind, checksum } : { ...ends, kind }
    })
  return fc.oneof({ weight: 1, arbitrary: dummy }, { weight: 4, arbitrary: tunnel })
}

function addressOn(
  devices: readonly DeviceState[],
  own: Readonly<Record<Family, Ip>>,
): fc.Arbitrary<AddressState> {
  const family = fc.constantFrom<Family>('ipv4', 'ipv6')
  const named = devices.map(({ name }): AddressState['place'] => ({ device: name }))
  // Both name the director's own interface.
  const placesOf = (which: Family) => [...named, { holding: own[which] }, { device: 'eth0' }]
  return family
    .chain((which) =>
      fc.tuple(
        fc.constant(which),
        fc.integer({ min: 1, max: POOL }),
        fc.constantFrom(...placesOf(which)),
      ),
    )
    .map(([which, n, place]) => ({ address: ip(`${ADDRESS_NET[which]}${n}`), place }))
}

function guePortOn(own: Readonly<Record<Family, Ip>>): fc.Arbitrary<GuePortState> {
  return fc.record({
    address: fc.constantFrom(own.ipv4, own.ipv6),
    port: fc.integer({ min: 6000, max: 6000 + POOL }),
  })
}

/** Sorted lines, one for each object that the table wants. */
export function wantedLines({ devices, addresses, guePorts }: HostTable): string[] {
  const deviceOfPlace = (place: AddressState['place']): string =>
    'device' in place ? place.device : 'eth0'
  return [
    ...devices.map((device) => {
      const ends = 'local' in device ? ` ${device.local} ${device.remote}` : ''
      const checksum = 'checksum' in device && device.checksum ? ' csum' : ''
      return `device ${device.name} ${device.kind}${ends}${checksum} up`
    }),
    ...addresses.map(({ address, place }) => {
      const deprecated = familyOf(address) === 'ipv6' ? ' deprecated nodad' : ''
      return `address ${address}/${hostPrefixLength(address)} ${deviceOfPlace(place)}${deprecated}`
    }),
    ...guePorts.map(({ address, port }) => {
      const family = familyOf(address) === 'ipv6' ? ' -6' : ''
      return `port ${port} gue${family} local ${address}`
    }),
  ].toSorted()
}

/** The same lines from `ip -d -j address` and `ip fou show`. */
export async function shownLines(lab: Lab, host: string): Promise<string[]> {
  const links = await ipJson(lab, host)
  const devices = links.filter(({ ifname }) => ifname.startsWith(DEVICE_PREFIX))
  const fou = await lab.sh(host, 'ip fou show')
  return [
    ...devices.map(({ ifname, flags, linkinfo }) => {
      const { local, remote, icsum } = linkinfo?.info_data ?? {}
      const ends = local === undefined ? '' : ` ${[local, remote].join(' ')}`
      const state = flags.includes('UP') ? 'up' : 'down'
      return `device ${ifname} ${linkinfo?.info_kind}${ends}${icsum === true ? ' csum' : ''} ${state}`
    }),
    ...links.flatMap(({ ifname, addr_info: held }) =>
      held
        .filter(({ local }) => Object.values(ADDRESS_NET).some((net) => local.startsWith(net)))
        .map(({ local, prefixlen, preferred_life_time: preferred, nodad }) => {
          const words = `${preferred === 0 ? ' deprecated' : ''}${nodad === true ? ' nodad' : ''}`
          return `address ${local}/${prefixlen} ${ifname}${words}`
        }),
    ),
    ...fou
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean),
  ].toSorted()
}
