/**
 * Tunnel devices of a real server: those that the state wants stand, are up and have the right ends; and no
 * other device decapsulates from everybody (CVE-2020-10136).
 */
import type { DeviceState } from '@lvs-fleet/contract'
import type { ObservedLink } from '../../kernel/kernel.ts'
import type { Check, Found } from '../check.ts'

export const tunnelDevice: Check = {
  id: 'tunnel-device',
  title: 'each tunnel device is there, up, with the right ends',
  examine: ({ facts, state }) =>
    state.host.devices.flatMap((device): Found[] => {
      const link = facts.network.links.find(({ name }) => name === device.name)
      const fault = faultOf(device, link)
      if (fault === undefined) return []
      return [
        {
          severity: 'broken',
          object: `device ${device.name}`,
          found: fault.found,
          wanted: `${device.kind}${endsOf(device)}, up`,
          why:
            device.kind === 'dummy'
              ? 'it holds the VIPs of this real server'
              : 'it unpacks what one director sends through its tunnel',
          symptom:
            device.kind === 'dummy'
              ? 'the share of clients that this real server would serve hangs'
              : 'the share of clients that comes through this tunnel is refused at once (IPv6: hangs)',
          commands: [fault.command],
          fixable: true,
        },
      ]
    }),
}

function faultOf(
  device: DeviceState,
  link: ObservedLink | undefined,
): { readonly found: string; readonly command: string } | undefined {
  if (link === undefined) return { found: 'not there', command: makeCommand(device) }
  const isOther =
    link.kind !== device.kind ||
    (device.kind !== 'dummy' && (link.local !== device.local || link.remote !== device.remote))
  if (isOther) {
    const ends = ` local ${link.local ?? 'any'} remote ${link.remote ?? 'any'}`
    return {
      found: `${link.kind === '' ? 'hardware' : `${link.kind}${ends}`}`,
      command: `ip link del ${device.name}`,
    }
  }
  return link.up ? undefined : { found: 'down', command: `ip link set ${device.name} up` }
}

function endsOf(device: DeviceState): string {
  return device.kind === 'dummy' ? '' : ` local ${device.local} remote ${device.remote}`
}

function makeCommand(device: DeviceState): string {
  const mode = device.kind === 'ip6tnl' ? ' mode any' : ''
  return `ip link add ${device.name} type ${device.kind}${mode}${endsOf(device)} && ip link set ${device.name} up`
}

/** Kinds that unpack; `remote any` takes packets of anybody. */
export const DECAPSULATING: ReadonlySet<string> = new Set([
  'ipip',
  'sit',
  'ip6tnl',
  'gre',
  'ip6gre',
  'gretap',
  'ip6gretap',
])

export const decapsulationOpen: Check = {
  id: 'decapsulation-open',
  title: 'no device decapsulates packets of everybody',
  examine: ({ facts }) =>
    facts.network.links.flatMap((link): Found[] => {
      if (!link.up || !DECAPSULATING.has(link.kind) || link.remote !== null) return []
      return [
        {
          severity: 'risk',
          object: `device ${link.name}`,
          found: `${link.kind}, up, remote any`,
          wanted: 'down, or narrowed to one remote end',
          why: 'it unpacks tunnel packets of anybody: outsiders inject packets with any source address (CVE-2020-10136)',
          symptom: 'nothing, until it is abused',
          commands: [`ip link set ${link.name} down`],
          fixable: false,
        },
      ]
    }),
}
