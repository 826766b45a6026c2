/** Which interface an address lives on: one rule for planning and for carrying out. Pure. */
import { hostPrefixLength, type Ip } from '@lvs-fleet/contract'
import type { ObservedAddress } from './kernel.ts'

/**
 * Link index of each address. One address may stand on several interfaces, as a tunnel device of ours carries
 * the host's own: the interface proper is the one that has a network with it, not a full prefix.
 */
export function holdersOf(addresses: readonly ObservedAddress[]): Map<Ip, number> {
  const holders = new Map<Ip, number>()
  const proper = new Set<Ip>()
  for (const { address, prefixLength, linkIndex } of addresses) {
    const isProper = prefixLength !== hostPrefixLength(address)
    if (holders.has(address) && (proper.has(address) || !isProper)) continue
    holders.set(address, linkIndex)
    if (isProper) proper.add(address)
  }
  return holders
}
