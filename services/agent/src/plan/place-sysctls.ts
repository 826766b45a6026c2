/**
 * Sysctls of an interface that the state names by an address which it holds (`net.ipv4.conf.{10.1.0.10}.send_redirects`)
 * become those of this host's interface. One that nobody holds is left out: whoever needs the address says so.
 */
import { parseIp, type HostPart } from '@lvs-fleet/contract'
import { holdersOf } from '../kernel/holder.ts'
import type { ObservedNetwork } from '../kernel/kernel.ts'

export function placeSysctls(host: HostPart, network: ObservedNetwork): HostPart {
  const placed = new Map<string, HostPart['sysctls'][number]>()
  for (const sysctl of host.sysctls) {
    const key = placedKey(sysctl.key, network)
    if (key !== undefined && !placed.has(key)) placed.set(key, { ...sysctl, key })
  }
  return { ...host, sysctls: [...placed.values()] }
}

function placedKey(key: string, network: ObservedNetwork): string | undefined {
  const [whole, text = ''] = /\{(.+)\}/.exec(key) ?? []
  if (whole === undefined) return key
  const address = parseIp(text)
  const index = address === undefined ? undefined : holdersOf(network.addresses).get(address)
  const name = network.links.find((link) => link.index === index)?.name
  // Dots of a name are slashes in a key, as sysctl(8) has it.
  return name === undefined ? undefined : key.replace(whole, name.replaceAll('.', '/'))
}
