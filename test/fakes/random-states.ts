/** Small random states: few names, so that successive ones overlap in interesting ways. */
import {
  describeForwarding,
  destinationKey,
  guePortKey,
  ip,
  serviceKey,
  sourceNatKey,
  type DeviceState,
  type Forwarding,
  type HostState,
  type ServiceState,
} from '@lvs-fleet/contract'
import type { FakeKernel } from './fake-kernel.ts'
import type { Seeded } from './seeded.ts'
import { destination, hostState, service } from './states.ts'

const FORWARDINGS: readonly Forwarding[] = [
  { method: 'dr' },
  { method: 'nat' },
  { method: 'tun', tunnel: { type: 'ipip' } },
  { method: 'tun', tunnel: { type: 'gre', checksum: true } },
  { method: 'tun', tunnel: { type: 'gue', port: 6080, checksum: 'none' } },
  { method: 'tun', tunnel: { type: 'gue', port: 6080, checksum: 'remcsum' } },
]

export function randomState(random: Seeded, options: { readonly adopt?: boolean } = {}): HostState {
  const services: ServiceState[] = []
  for (let n = 1; n <= 4; n++) {
    if (random.chance(0.35)) continue
    const destinations = []
    for (let d = 1; d <= 4; d++) {
      if (random.chance(0.4)) continue
      const forwarding = random.pick(FORWARDINGS)
      destinations.push(
        destination(`10.2.0.${d}`, { weight: random.pick([1, 1, 2, 5]), forwarding }),
      )
    }
    if (destinations.length === 0) destinations.push(destination('10.2.0.9'))
    services.push(
      service(`10.1.0.${n}`, destinations, {
        scheduler: random.pick(['wrr', 'wlc']),
        drainSeconds: random.pick([0, 30]),
      }),
    )
  }
  const devices: DeviceState[] = random.chance(0.7) ? [{ name: 'lvsfleet0', kind: 'dummy' }] : []
  const place = devices[0]?.kind === 'dummy' ? { device: 'lvsfleet0' } : { device: 'eth0' }
  // The same device each time, so that its checksum is edited while it stands.
  if (random.chance(0.6)) {
    const ends = { local: ip('10.1.0.11'), remote: ip('10.1.0.10') }
    devices.push({ name: 'lvsf-gre', kind: 'gre', ...ends, checksum: random.chance(0.5) })
  }
  const guePorts = [6080, 6081].filter(() => random.chance(0.4))
  return hostState(services, {
    adopt: options.adopt ?? false,
    lingerSeconds: random.pick([0, 20]),
    devices,
    sourceNats: [1, 2]
      .filter(() => random.chance(0.4))
      .map((n) => ({ vip: ip('10.1.0.1'), server: ip(`10.2.0.${n}`) })),
    guePorts: guePorts.map((port) => ({ address: ip('10.1.0.11'), port })),
    addresses: services.map((s) => ({ address: s.address, place })),
    sysctls: random.chance(0.5) ? [{ key: 'net.ipv4.vs.pmtu_disc', value: '0', accept: [] }] : [],
    clamps: random.chance(0.5) ? [{ address: ip('10.1.0.1'), mss: random.pick([1400, 1440]) }] : [],
  })
}

/** Objects of somebody else, on keys that no state uses. */
export function addForeign(kernel: FakeKernel): ServiceState[] {
  const foreign = [
    service('10.9.0.1', [destination('10.2.0.1')]),
    service('10.9.0.2', [destination('10.2.0.2')], { protocol: 'udp' }),
  ]
  for (const s of foreign) {
    kernel.byHand({ kind: 'service.create', service: s, to: s })
    for (const d of s.destinations)
      kernel.byHand({ kind: 'destination.create', service: s, destination: d, to: d })
  }
  kernel.sysctls.set('net.ipv4.vs.pmtu_disc', '1')
  return foreign
}

/** What the whole host must look like in the end, as `shapeOf` says it. */
export function shapeWanted(state: HostState, foreign: readonly ServiceState[]): string[] {
  const lines: string[] = []
  for (const s of [...state.services, ...foreign]) {
    lines.push(`${serviceKey(s)} ${s.scheduler}`)
    for (const d of s.destinations)
      lines.push(`${serviceKey(s)} > ${destinationKey(d)} ${destinationText(d)}`)
  }
  for (const device of state.devices) {
    lines.push(`device ${device.name} ${'checksum' in device && device.checksum}`)
  }
  for (const guePort of state.guePorts) lines.push(`gue port ${guePortKey(guePort)}`)
  for (const { address, place } of state.addresses) {
    lines.push(`address ${address} ${'device' in place ? place.device : '?'}`)
  }
  for (const pair of state.sourceNats) lines.push(`source nat ${sourceNatKey(pair)}`)
  for (const clamp of state.clamps) lines.push(`clamp ${clamp.address} ${clamp.mss}`)
  lines.push(`pmtu_disc ${state.sysctls.length > 0 ? '0' : '1'}`)
  return lines.toSorted()
}

export function shapeOf(kernel: FakeKernel): string[] {
  const lines: string[] = []
  for (const [key, { config, destinations }] of kernel.services) {
    lines.push(`${key} ${config.scheduler}`)
    for (const [end, d] of destinations) lines.push(`${key} > ${end} ${destinationText(d.config)}`)
  }
  for (const { name, checksum } of kernel.links.values())
    if (name !== 'eth0') lines.push(`device ${name} ${checksum}`)
  for (const key of kernel.guePorts.keys()) lines.push(`gue port ${key}`)
  for (const { address, linkIndex } of kernel.addresses) {
    const link = [...kernel.links.values()].find((candidate) => candidate.index === linkIndex)
    lines.push(`address ${address} ${link?.name ?? '?'}`)
  }
  for (const key of kernel.sourceNats.keys()) lines.push(`source nat ${key}`)
  for (const clamp of kernel.clamps.values()) lines.push(`clamp ${clamp.address} ${clamp.mss}`)
  lines.push(`pmtu_disc ${kernel.sysctls.get('net.ipv4.vs.pmtu_disc') ?? '?'}`)
  return lines.toSorted()
}

function destinationText({
  forwarding,
  weight,
}: {
  readonly forwarding: Forwarding
  readonly weight: number
}): string {
  return `${describeForwarding(forwarding)} ${weight}`
}
