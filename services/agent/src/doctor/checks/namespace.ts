/** The agent looks at another network namespace than the one that it is to manage. */
import type { Check } from '../check.ts'

export const networkNamespace: Check = {
  id: 'network-namespace',
  title: 'this is the network namespace with the addresses of the host',
  examine: ({ facts, state }) => {
    const anchors = state.host.addresses.flatMap(({ place }) =>
      'holding' in place ? [place.holding] : [],
    )
    const ends = state.host.devices.flatMap((device) => ('local' in device ? [device.local] : []))
    const wanted = [...new Set([...anchors, ...ends])]
    const held = new Set(facts.network.addresses.map(({ address }) => address))
    if (wanted.length === 0 || wanted.some((address) => held.has(address))) return []
    const isOther = facts.namespace !== null && facts.namespace.own !== facts.namespace.first
    return [
      {
        severity: 'broken',
        object: `namespace ${facts.namespace?.own ?? 'unknown'}`,
        found: `none of ${wanted.join(', ')} is here${isOther ? ', and this is not the namespace that the host booted with' : ''}`,
        wanted: 'the addresses that the intent declares for this host',
        why: isOther
          ? 'the agent runs in a network namespace of its own and manages that'
          : "the intent declares other addresses than the host's",
        symptom: 'everything is "missing", nothing works',
        commands: isOther
          ? [
              '# start the agent in the right one: nsenter --net=/proc/1/ns/net, or without PrivateNetwork=',
            ]
          : ['ip addr', '# correct addresses of this host in the intent'],
        fixable: false,
      },
    ]
  },
}
