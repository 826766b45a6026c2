/**
 * Large receive offload on an interface where clients' packets come in: the card merges packets of one connection,
 * and what it merged cannot be forwarded as it came (Documentation/networking/netdevices.rst, NETIF_F_LRO). The kernel
 * switches it off where it forwards itself, which DR and TUN do not need. GRO is something else and harmless.
 */
import type { Check, Found } from '../check.ts'

const LRO = 'rx-lro'

export const largeReceive: Check = {
  id: 'large-receive',
  title: 'interfaces with addresses do not merge what is to be forwarded (LRO)',
  examine: ({ facts, state }) => {
    const { offloads, network } = facts
    if (offloads === null || state.services.length === 0) return []
    const holding = new Set(network.addresses.map(({ linkIndex }) => linkIndex))
    return network.links.flatMap(({ index, name }): Found[] => {
      if (!holding.has(index) || offloads.get(index)?.has(LRO) !== true) return []
      return [
        {
          severity: 'risk',
          object: `interface ${name}`,
          found: 'large receive offload is on',
          wanted: 'off; generic receive offload may stay on',
          why: 'packets that the card merged cannot be sent on as they came',
          symptom: 'uploads are slow or hang, without a counter',
          commands: [`ethtool -K ${name} lro off`],
          fixable: false,
        },
      ]
    })
  },
}
