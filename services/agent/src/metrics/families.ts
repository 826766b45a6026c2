/**
 * What this agent measures, as families of metrics: its own state from a snapshot, traffic from the kernel's 64-bit
 * counters. Rates are for Prometheus to compute, which knows when it asked. Pure.
 */
import {
  destinationKey,
  serviceKey,
  type DestinationState,
  type MetricFamily,
  type MetricSample,
  type ServiceState,
} from '@lvs-fleet/contract'
import type { ObservedDestination, ObservedService, TrafficStats } from '../kernel/kernel.ts'
import type { Snapshot } from '../report.ts'

/** A virtual service of ours in the kernel. */
export type MeasuredService = {
  readonly state: ServiceState
  readonly observed: ObservedService
  /** Undefined where there are too many to be asked for. */
  readonly destinations: readonly ObservedDestination[] | undefined
}

type Labels = Readonly<Record<string, string>>
type Counted = { readonly labels: Labels; readonly stats: TrafficStats }

/** Both ends of the packets that a director sees: by DR and TUN answers pass it by, so `out` stays 0. */
const TRAFFIC: readonly (readonly [name: string, help: string, of: keyof TrafficStats])[] = [
  ['connections_total', 'connections scheduled', 'connections'],
  ['packets_in_total', 'packets from clients', 'inPackets'],
  ['packets_out_total', 'packets to clients that passed the director', 'outPackets'],
  ['bytes_in_total', 'bytes from clients', 'inBytes'],
  ['bytes_out_total', 'bytes to clients that passed the director', 'outBytes'],
]

export function stateFamilies(snapshot: Snapshot): MetricFamily[] {
  const { applied, rejected, health, paths, doctor } = snapshot
  const one = (value: number): MetricSample[] => [{ labels: {}, value }]
  return [
    gauge('info', 'versions of this agent and its kernel; always 1', [
      { labels: { agent: snapshot.agentVersion, kernel: snapshot.kernelVersion }, value: 1 },
    ]),
    gauge('applied_epoch', 'epoch of the state in the kernel', one(applied?.epoch ?? 0)),
    gauge(
      'applied_generation',
      'generation of the state in the kernel',
      one(applied?.generation ?? 0),
    ),
    gauge('state_rejected', '1 while what was published is refused', [
      { labels: { code: rejected?.code ?? 'none' }, value: rejected === null ? 0 : 1 },
    ]),
    gauge(
      'held',
      '1 while an operator stopped this agent on the host',
      one(snapshot.held === null ? 0 : 1),
    ),
    gauge('virtual_services', 'virtual services in force', one(snapshot.counts.services)),
    gauge('destinations', 'destinations in force', one(snapshot.counts.destinations)),
    gauge(
      'failed_ops',
      'kernel operations that did not work when last tried',
      one(snapshot.failedOpCount),
    ),
    counter(
      'drift_repairs_total',
      'repairs of what changed behind the agent',
      one(snapshot.driftCount),
    ),
    gauge(
      'draining_destinations',
      'destinations that finish their connections',
      one(snapshot.drainCount),
    ),
    gauge(
      'other_weights',
      'destinations whose weight is not what intent says',
      one(snapshot.weightCount),
    ),
    counter(
      'weight_changes_total',
      'weights that changed without intent, since the agent started',
      one(snapshot.weightChanges?.count ?? 0),
    ),
    counter(
      'weight_changes_untold_total',
      'of them those that no report listed, being too many at once',
      one(snapshot.weightChanges?.droppedCount ?? 0),
    ),
    gauge('doctor_findings', 'what the doctor found last', doctorSamples(doctor)),
    gauge(
      'checks',
      'health checks by state',
      Object.entries(health?.counts ?? {}).map(([state, value]) => ({ labels: { state }, value })),
    ),
    gauge(
      'check_up',
      '1 while the check is up or not known yet; what is down comes first where there are many',
      checkSamples(snapshot, ({ state }) => (state === 'up' || state === 'unknown' ? 1 : 0)),
    ),
    gauge(
      'check_latency_seconds',
      'time of the last good answer',
      checkSamples(snapshot, ({ latencyMs }) =>
        latencyMs === null ? undefined : latencyMs / 1_000,
      ),
    ),
    gauge('paths', 'paths by what measuring their MTU said', pathSamples(paths)),
  ]
}

export function trafficFamilies(measured: readonly MeasuredService[]): MetricFamily[] {
  const services = measured.map(({ state, observed }): Counted => ({
    labels: serviceLabels(state),
    stats: observed.stats,
  }))
  const ends = measured.flatMap(({ state, destinations = [] }) => {
    const names = new Map(state.destinations.map((one) => [destinationKey(one), one]))
    return destinations.map((observed) => {
      const key = destinationKey(observed)
      return { observed, labels: destinationLabels(state, key, names.get(key)) }
    })
  })
  const counted = ends.map(({ observed, labels }): Counted => ({ labels, stats: observed.stats }))
  const ofEach = (value: (one: ObservedDestination) => number): MetricSample[] =>
    ends.map(({ observed, labels }) => ({ labels, value: value(observed) }))
  return [
    ...trafficOf('service', services),
    ...trafficOf('destination', counted),
    gauge(
      'destination_weight',
      'weight in the kernel',
      ofEach(({ weight }) => weight),
    ),
    gauge(
      'destination_active_connections',
      'connections that the kernel takes for open; a guess by DR and TUN',
      ofEach(({ activeConnections }) => activeConnections),
    ),
    gauge(
      'destination_inactive_connections',
      'connections that it remembers otherwise',
      ofEach(({ inactiveConnections }) => inactiveConnections),
    ),
    gauge('destinations_left_out', 'virtual services whose destinations were too many to be read', [
      {
        labels: {},
        value: measured.filter(({ destinations }) => destinations === undefined).length,
      },
    ]),
  ]
}

function trafficOf(object: string, counted: readonly Counted[]): MetricFamily[] {
  return TRAFFIC.map(([name, help, of]) =>
    counter(
      `${object}_${name}`,
      `${help}, of the ${object} since it was made`,
      counted.map(({ labels, stats }) => ({ labels, value: stats[of] })),
    ),
  )
}

function serviceLabels(state: ServiceState): Labels {
  return { virtual_service: state.name, service: serviceKey(state) }
}

/** One that drains is in the kernel and no more in the state. */
function destinationLabels(
  state: ServiceState,
  destination: string,
  known: DestinationState | undefined,
): Labels {
  const end = { ...serviceLabels(state), destination }
  return known === undefined
    ? { ...end, real_server: '', method: '' }
    : { ...end, real_server: known.realServer, method: known.forwarding.method }
}

type Check = NonNullable<Snapshot['health']>['checks'][number]

function checkSamples(
  { health }: Snapshot,
  value: (check: Check) => number | undefined,
): MetricSample[] {
  return (health?.checks ?? []).flatMap((check) => {
    const { key, kind, realServer, address, port } = check
    const labels = { check: key, kind, real_server: realServer, address, port: String(port) }
    const said = value(check)
    return said === undefined ? [] : [{ labels, value: said }]
  })
}

function pathSamples(paths: Snapshot['paths']): MetricSample[] {
  if (paths === null) return []
  const { fittingCount, narrowCount, unknownCount } = paths
  const counts = { fitting: fittingCount, narrow: narrowCount, unknown: unknownCount }
  return Object.entries(counts).map(([mtu, value]) => ({ labels: { mtu }, value }))
}

function doctorSamples(doctor: Snapshot['doctor']): MetricSample[] {
  if (doctor === null) return []
  const counts = Map.groupBy(doctor.findings, ({ severity }) => severity)
  return [...counts].map(([severity, list]) => ({ labels: { severity }, value: list.length }))
}

function gauge(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, help, type: 'gauge', samples }
}

function counter(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, help, type: 'counter', samples }
}
