/** Small random states: few names, so that successive ones overlap in interesting ways. */
import {
  describeForwarding,
  destinationKey,
  guePortKey,
  ip,
  markKey,
  serviceConfig,
  serviceKey,
  sourceNatKey,
  type DeviceState,
  type Forwarding,
  type EndpointService,
  type PathState,
  type HostState,
  type MarkState,
  type ServiceConfig,
  type ServiceState,
} from '@lvs-fleet/contract'
import { probeService } from '../../services/agent/src/state/probe-service.ts'
import type { FakeKernel } from './fake-kernel.ts'
import type { Seeded } from './seeded.ts'
import { destination, hostState, markService, service } from './states.ts'

const FORWARDINGS: readonly Forwarding[] = [
  { method: 'dr' },
  { method: 'nat' },
  { method: 'tun', tunnel: { type: 'ipip' } },
  { method: 'tun', tunnel: { type: 'gre', checksum: true } },
  { method: 'tun', tunnel: { type: 'gue', port: 6080, checksum: 'none' } },
  { method: 'tun', tunnel: { type: 'gue', port: 6080, checksum: 'remcsum' } },
]

export function randomState(random: Seeded, options: { readonly adopt?: boolean } = {}): HostState {
  const services: EndpointService[] = []
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
        ...randomConfig(random),
        protocol: random.pick(['tcp', 'tcp', 'udp', 'sctp']),
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
  const marked = [1, 2].filter(() => random.chance(0.5)).map((n) => randomMarked(random, n))
  return hostState([...services, ...marked.map((one) => one.service)], {
    adopt: options.adopt ?? false,
    lingerSeconds: random.pick([0, 20]),
    devices,
    sourceNats: [1, 2]
      .filter(() => random.chance(0.4))
      .map((n) => ({ vip: ip('10.1.0.1'), server: ip(`10.2.0.${n}`) })),
    guePorts: guePorts.map((port) => ({ address: ip('10.1.0.11'), port })),
    addresses: [
      ...services.map((s) => ({ address: s.address, place })),
      ...marked.map((one) => ({ address: one.address, place })),
    ],
    marks: marked.flatMap((one) => one.marks),
    paths: [1, 2].filter(() => random.chance(0.5)).map((n) => randomPath(random, n)),
    timeouts: random.chance(0.5) ? [{ name: 'udp', seconds: random.pick([30, 60]) }] : [],
    syncDaemons: random.chance(0.5)
      ? [
          {
            role: random.pick(['master', 'backup']),
            place: { device: 'eth0' },
            syncId: random.pick([1, 2]),
            group: ip('224.0.0.81'),
            port: 8848,
            ttl: 1,
            maxlen: null,
          },
        ]
      : [],
    sysctls: random.chance(0.5) ? [{ key: 'net.ipv4.vs.pmtu_disc', value: '0', accept: [] }] : [],
    clamps: random.chance(0.5) ? [{ address: ip('10.1.0.1'), mss: random.pick([1400, 1440]) }] : [],
  })
}

/** The same mark leads elsewhere from state to state, as after a collision. */
function randomPath(random: Seeded, n: number): PathState {
  return {
    mark: 0x4d00_0000 + n,
    realServer: `rs-${n}`,
    family: 'ipv4',
    address: ip(`10.2.0.${random.pick([1, 2])}`),
    port: random.pick([0, 8080]),
    forwarding: random.pick(FORWARDINGS),
    mtu: 1480,
    source: ip('10.1.0.10'),
    vip: ip('10.1.0.1'),
    closedPort: 33_434,
  }
}

/** A firewall-mark service with one or two ranges, which differ from state to state and overlap. */
function randomMarked(random: Seeded, n: number) {
  const address = ip(`10.1.1.${n}`)
  const mark = 0x4c00_0000 + n
  const from = random.pick([8000, 8100])
  const marks: MarkState[] = [{ protocol: 'tcp', address, ports: { from, to: 8999 }, mark }]
  if (random.chance(0.5)) {
    marks.push({ protocol: 'udp', address, ports: { from: 53, to: 53 }, mark })
  }
  const destinations = [1, 2].map((d) =>
    destination(`10.2.0.${d}`, { port: 0, weight: random.pick([0, 1]) }),
  )
  const drainSeconds = random.pick([0, 30])
  return {
    address,
    marks,
    service: markService(mark, destinations, { ...randomConfig(random), drainSeconds }),
  }
}

function randomConfig(random: Seeded): Pick<ServiceState, 'scheduler' | 'flags' | 'persistence'> {
  const scheduler = random.pick(['wrr', 'wlc', 'sh', 'mh'] as const)
  return {
    scheduler,
    flags: scheduler === 'sh' && random.chance(0.5) ? ['fallback', 'port'] : [],
    persistence: random.chance(0.3)
      ? {
          timeoutSeconds: random.pick([60, 300]),
          prefixLength: random.pick([24, 32]),
          engine: random.pick([null, 'sip']),
        }
      : null,
  }
}

/** Objects of somebody else, on keys that no state uses. */
export function addForeign(kernel: FakeKernel): ServiceState[] {
  const foreign: ServiceState[] = [
    markService(7, [destination('10.2.0.3', { port: 0 })]),
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
  for (const s of [...state.services, ...state.paths.map(probeService), ...foreign]) {
    lines.push(`${serviceKey(s)} ${configText(s)}`)
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
  for (const mark of state.marks) lines.push(`mark ${markKey(mark)} ${mark.mark}`)
  for (const { role, syncId } of state.syncDaemons) lines.push(`sync ${role} ${syncId}`)
  lines.push(`udp timeout ${state.timeouts[0]?.seconds ?? 300}`)
  lines.push(`pmtu_disc ${state.sysctls.length > 0 ? '0' : '1'}`)
  return lines.toSorted()
}

export function shapeOf(kernel: FakeKernel): string[] {
  const lines: string[] = []
  for (const [key, { config, destinations }] of kernel.services) {
    lines.push(`${key} ${configText(config)}`)
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
  for (const [key, { mark }] of kernel.marks) lines.push(`mark ${key} ${mark}`)
  for (const { role, syncId } of kernel.syncDaemons.values()) lines.push(`sync ${role} ${syncId}`)
  lines.push(`udp timeout ${kernel.timeouts.udp}`)
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

function configText(config: ServiceConfig): string {
  return JSON.stringify(serviceConfig(config))
}
