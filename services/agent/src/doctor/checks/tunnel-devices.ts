/**
 * Tunnel devices of a real server: those that the state wants stand, are up and have the right ends; and no
 * other device decapsulates from everybody (CVE-2020-10136).
 */
import { familyOf, guePortKey, type DeviceState } from '@lvs-fleet/contract'
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
  if (!link.up) return { found: 'down', command: `ip link set ${device.name} up` }
  if (!('checksum' in device) || device.checksum === link.checksum) return undefined
  const found = link.checksum ? 'wants checksums' : 'wants no checksums'
  return { found, command: `ip link change ${device.name} type ${device.kind}${endsOf(device)}` }
}

function endsOf(device: DeviceState): string {
  if (device.kind === 'dummy') return ''
  const checksum = 'checksum' in device ? (device.checksum ? ' icsum' : ' noicsum') : ''
  return ` local ${device.local} remote ${device.remote}${checksum}`
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

export const guePort: Check = {
  id: 'gue-port',
  title: 'each GUE port is open',
  examine: ({ facts, state }) =>
    state.host.guePorts.flatMap((wanted): Found[] => {
      if (facts.guePorts === null) return []
      const family = familyOf(wanted.address)
      const isOpen = facts.guePorts.some(
        (one) =>
          one.exact &&
          one.family === family &&
          one.port === wanted.port &&
          (one.address === null || one.address === wanted.address),
      )
      if (isOpen) return []
      const six = family === 'ipv6' ? ' -6' : ''
      return [
        {
          severity: 'broken',
          object: `gue port ${guePortKey(wanted)}`,
          found: 'not open',
          wanted: 'open for GUE',
          why: 'what directors send by GUE is not unpacked',
          symptom: 'the share of clients that comes by GUE is refused at once (IPv6: hangs)',
          commands: [
            'modprobe fou',
            `ip fou add port ${wanted.port} gue${six} local ${wanted.address}`,
          ],
          fixable: true,
        },
      ]
    }),
}

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
