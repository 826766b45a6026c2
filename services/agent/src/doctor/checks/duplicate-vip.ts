/** Another host answers ARP for a VIP of this director; asked actively, so by the full examination only. */
import type { Check, Found } from '../check.ts'

export const duplicateVip: Check = {
  id: 'vip-duplicate',
  title: 'no other host answers ARP for a VIP',
  examine: ({ facts }) =>
    [...(facts.duplicates ?? new Map<string, string>())].map(([vip, seen]): Found => ({
      severity: 'broken',
      object: `VIP ${vip}`,
      found: `another host answers ARP for it: ${seen}`,
      wanted: 'an answer from this director only',
      why: 'neighbours send the traffic of the VIP to whoever answered last',
      symptom: 'one real server takes all traffic, or connections break now and then',
      commands: [
        '# on the host with that MAC address: lvsfleet-agent doctor --only arp-sysctls',
        `# then on the router: ip neigh flush to ${vip}`,
      ],
      fixable: false,
    })),
}
