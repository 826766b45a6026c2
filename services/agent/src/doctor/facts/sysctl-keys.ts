/** Which sysctls the checks look at on this host: those of the state, of IPVS, and per interface. Pure. */
import type { HostPart } from '@lvs-fleet/contract'
import type { ObservedNetwork } from '../../kernel/kernel.ts'
import { placeSysctls } from '../../plan/place-sysctls.ts'

const ALWAYS = [
  'net.ipv4.ip_forward',
  'net.ipv4.conf.all.accept_local',
  'net.ipv6.conf.all.forwarding',
  'net.ipv4.vs.conntrack',
  'net.ipv4.vs.expire_quiescent_template',
  'net.ipv4.vs.ignore_tunneled',
  'net.netfilter.nf_conntrack_count',
  'net.netfilter.nf_conntrack_max',
] as const
const PER_INTERFACE = ['rp_filter', 'arp_ignore', 'arp_announce'] as const
/** A host with thousands of container interfaces: the first ones are enough to see a pattern. */
const INTERFACES_MAX = 200

export function sysctlKeys(host: HostPart, network: ObservedNetwork): string[] {
  const own = new Set(host.devices.map(({ name }) => name))
  const names = network.links
    // A dot in a name cannot be said in a key (kernel/sysctl.ts).
    .filter(({ name }) => !name.includes('.') && name !== 'lo')
    .toSorted((a, b) => Number(own.has(b.name)) - Number(own.has(a.name)))
    .slice(0, INTERFACES_MAX)
    .map(({ name }) => name)
  const perInterface = ['all', ...names].flatMap((name) =>
    PER_INTERFACE.map((key) => `net.ipv4.conf.${name}.${key}`),
  )
  return [
    ...new Set([
      ...ALWAYS,
      ...perInterface,
      ...placeSysctls(host, network).sysctls.map(({ key }) => key),
    ]),
  ]
}
