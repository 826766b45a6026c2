/** Small random states: few names, so that successive ones overlap in interesting ways. */
import {
  destinationKey,
  ip,
  serviceKey,
  type HostState,
  type ServiceState,
} from '@lvs-fleet/contract'
import type { FakeKernel } from './fake-kernel.ts'
import type { Seeded } from './seeded.ts'
import { destination, hostState, service } from './states.ts'

export function randomState(random: Seeded, options: { readonly adopt?: boolean } = {}): HostState {
  const services: ServiceState[] = []
  for (let n = 1; n <= 4; n++) {
    if (random.chance(0.35)) continue
    const destinations = []
    for (let d = 1; d <= 4; d++) {
      if (random.chance(0.4)) continue
      destinations.push(destination(`10.2.0.${d}`, { weight: random.pick([1, 1, 2, 5]) }))
    }
    if (destinations.length === 0) destinations.push(destination('10.2.0.9'))
    services.push(
      service(`10.1.0.${n}`, destinations, {
        scheduler: random.pick(['wrr', 'wlc']),
        drainSeconds: random.pick([0, 30]),
      }),
    )
  }
  const devices = random.chance(0.7) ? [{ name: 'lvsfleet0', kind: 'dummy' as const }] : []
  const place = devices.length > 0 ? { device: 'lvsfleet0' } : { device: 'eth0' }
  return hostState(services, {
    adopt: options.adopt ?? false,
    lingerSeconds: random.pick([0, 20]),
    devices,
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
      lines.push(`${serviceKey(s)} > ${destinationKey(d)} ${d.weight}`)
  }
  for (const device of state.devices) lines.push(`device ${device.name}`)
  for (const { address, place } of state.addresses) {
    lines.push(`address ${address} ${'device' in place ? place.device : '?'}`)
  }
  for (const clamp of state.clamps) lines.push(`clamp ${clamp.address} ${clamp.mss}`)
  lines.push(`pmtu_disc ${state.sysctls.length > 0 ? '0' : '1'}`)
  return lines.toSorted()
}

export function shapeOf(kernel: FakeKernel): string[] {
  const lines: string[] = []
  for (const [key, { config, destinations }] of kernel.services) {
    lines.push(`${key} ${config.scheduler}`)
    for (const [end, d] of destinations) lines.push(`${key} > ${end} ${d.config.weight}`)
  }
  for (const name of kernel.links.keys()) if (name !== 'eth0') lines.push(`device ${name}`)
  for (const { address, linkIndex } of kernel.addresses) {
    const link = [...kernel.links.values()].find((candidate) => candidate.index === linkIndex)
    lines.push(`address ${address} ${link?.name ?? '?'}`)
  }
  for (const clamp of kernel.clamps.values()) lines.push(`clamp ${clamp.address} ${clamp.mss}`)
  lines.push(`pmtu_disc ${kernel.sysctls.get('net.ipv4.vs.pmtu_disc') ?? '?'}`)
  return lines.toSorted()
}
