/** DR and TUN leave the packet as it is: the destination's port is ignored, so another one is a lie. */
import { destinationKey, serviceKey } from '@lvs-fleet/contract'
import type { Check, Found } from '../check.ts'

export const portDiffers: Check = {
  id: 'port-differs',
  title: 'destinations of DR and TUN have the port of their virtual service',
  examine: ({ state }) =>
    state.services.flatMap((service) => {
      // Where a mark names the service, 0 leaves the client's port.
      const port = 'firewallMark' in service ? 0 : service.port
      return service.destinations.flatMap((destination): Found[] => {
        const { method } = destination.forwarding
        if ((method !== 'dr' && method !== 'tun') || destination.port === port) return []
        return [
          {
            severity: 'broken',
            object: `${serviceKey(service)} > ${destinationKey(destination)}`,
            found: `port ${destination.port} by ${method}`,
            wanted: `port ${port}, or nat`,
            why: `${method} does not translate ports: the real server is asked on ${port === 0 ? 'the port of the client' : port}`,
            symptom: 'the wrong program answers, or connections are refused',
            commands: ['# let the server listen on that port, or use forwarding: nat'],
            fixable: false,
          },
        ]
      })
    }),
}
