/** Links and addresses as iproute2 shows them, and the port's own view held against them. */
import assert from 'node:assert/strict'
import type { Lab } from '../lab.ts'
import type { KernelGuest } from './kernel-guest.ts'

/** What `ip -d -j` prints, as far as it is looked at. */
type IpLink = {
  readonly ifindex: number
  readonly ifname: string
  readonly flags: readonly string[]
  readonly mtu: number
  readonly linkinfo?: {
    readonly info_kind: string
    readonly info_data?: Readonly<Record<string, unknown>>
  }
  readonly addr_info: readonly IpAddress[]
}
type IpAddress = {
  readonly local: string
  readonly prefixlen: number
  readonly preferred_life_time: number
  readonly nodad?: boolean
}

export async function ipJson(lab: Lab, host: string): Promise<readonly IpLink[]> {
  return JSON.parse(await lab.sh(host, 'ip -d -j address show')) as readonly IpLink[]
}

/** Links and addresses of the port against those of ip, all of them. */
export async function assertNetwork(kernel: KernelGuest, lab: Lab, host: string): Promise<void> {
  const { links, addresses } = await kernel.observeNetwork()
  const shown = await ipJson(lab, host)
  const endOf = (value: unknown) => (value === undefined || value === 'any' ? null : value)
  assert.deepEqual(
    links.map(({ local, remote, checksum, ...link }) => ({ ...link, local, remote, checksum })),
    shown.map(({ ifindex, ifname, flags, mtu, linkinfo }) => ({
      index: ifindex,
      name: ifname,
      kind: linkinfo?.info_kind ?? '',
      up: flags.includes('UP'),
      mtu,
      local: endOf(linkinfo?.info_data?.['local']),
      remote: endOf(linkinfo?.info_data?.['remote']),
      checksum: linkinfo?.info_data?.['icsum'] === true,
    })),
  )
  const held = addresses.map(
    (one) => `${one.linkIndex} ${one.address}/${one.prefixLength} ${one.deprecated}`,
  )
  const shownAddresses = shown.flatMap(({ ifindex, addr_info: list }) =>
    list.map((one) => `${ifindex} ${one.local}/${one.prefixlen} ${one.preferred_life_time === 0}`),
  )
  assert.deepEqual(held.sort(), shownAddresses.sort())
}
