/**
 * Does anybody live in this network namespace? Takes what it holds. One that `unshare` made has no address at all; one that
 * systemd made (PrivateNetwork=) has loopback up, so there no link may be but loopback and the fallback devices that tunnel
 * modules put into every namespace. A machine before its network is up still has its network card.
 */
import type { ObservedNetwork } from '../kernel.ts'

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '::1'])
/** net/ipv4 and net/ipv6 make them when their module is loaded, and with each new namespace. */
const IN_EVERY_NAMESPACE: ReadonlySet<string> = new Set(
  'lo tunl0 gre0 gretap0 erspan0 ip_vti0 sit0 ip6tnl0 ip6gre0 ip6gretap0 ip6_vti0'.split(' '),
)

export function isScratch({
  addresses,
  links,
}: {
  readonly addresses: readonly Pick<ObservedNetwork['addresses'][number], 'address'>[]
  readonly links: readonly Pick<ObservedNetwork['links'][number], 'name'>[]
}): boolean {
  if (addresses.length === 0) return true
  return (
    addresses.every(({ address }) => LOOPBACK.has(address)) &&
    links.every(({ name }) => IN_EVERY_NAMESPACE.has(name))
  )
}
