/**
 * Keyed diff of two host states into ops, in the order in which they may be carried out:
 * devices, GUE ports, sysctls, timeouts, addresses, clamps, source NAT, sync daemons, services, destinations, marks; then
 * removals, reversed. Marks come when what they lead to can answer, and before the services that they replace stop.
 * Pure. The API shows it as a dry run; the agent plans each virtual service with the same functions.
 */
import { canonicalJson, sameJson } from './canonical.ts'
import { describeCheck, type CheckState } from './check.ts'
import {
  addressKey,
  destinationKey,
  guePortKey,
  haveSameEnds,
  markKey,
  serviceKey,
  sourceNatKey,
  type DestinationRef,
  type DeviceState,
  type HostState,
  type ServiceRef,
  type ServiceState,
} from './host-state.ts'
import type { Forwarding, Tunnel } from './ipvs.ts'
import type { DestinationConfig, Op, ServiceConfig } from './op.ts'

export type KeyedDiff<A, B> = {
  readonly created: readonly A[]
  readonly kept: readonly (readonly [A, B])[]
  readonly removed: readonly B[]
}

/** Pairs two lists by key. */
export function diffByKey<A, B>(
  desired: readonly A[],
  current: readonly B[],
  keyOfDesired: (item: A) => string,
  keyOfCurrent: (item: B) => string,
): KeyedDiff<A, B> {
  const rest = new Map(current.map((item) => [keyOfCurrent(item), item]))
  const created: A[] = []
  const kept: (readonly [A, B])[] = []
  for (const item of desired) {
    const key = keyOfDesired(item)
    const match = rest.get(key)
    if (match === undefined) created.push(item)
    else {
      kept.push([item, match])
      rest.delete(key)
    }
  }
  return { created, kept, removed: [...rest.values()] }
}

/** Most changes of a service leave its destinations where they are: no keys are needed then. Undefined where they do not. */
function pairInOrder<A extends DestinationRef, B extends DestinationRef>(
  desired: readonly A[],
  current: readonly B[],
): KeyedDiff<A, B> | undefined {
  if (!haveSameEnds(desired, current)) return undefined
  const kept: (readonly [A, B])[] = []
  for (const [i, item] of current.entries()) {
    const wanted = desired[i]
    if (wanted !== undefined) kept.push([wanted, item])
  }
  return { created: [], kept, removed: [] }
}

/** Ops that turn `current` into `desired`, both published states of one host. */
export function diffHostStates(desired: HostState, current: HostState): Op[] {
  const network = diffNetwork(desired, current)
  const services = diffByKey(desired.services, current.services, serviceKey, serviceKey)
  const adds: Op[] = []
  const removals: Op[] = []
  for (const service of services.created) adds.push(...createService(service))
  for (const [to, from] of services.kept) {
    if (to === from) continue
    const { edits, removals: gone } = diffService(to, from)
    adds.push(...edits)
    removals.push(...gone)
  }
  for (const service of services.removed) removals.push(...removeService(service))
  const marks = diffMarks(desired, current)
  return [...network.adds, ...adds, ...marks, ...removals, ...network.removals]
}

/** Lines of a dry run: `+` begins, `-` ends. A check whose settings change is another one. */
export function diffChecks(
  desired: readonly CheckState[],
  current: readonly CheckState[],
): string[] {
  const keyOf = (check: CheckState): string => check.key
  const { created, removed } = diffByKey(desired, current, keyOf, keyOf)
  const lines = (sign: string, checks: readonly CheckState[]) =>
    checks.map((check) => `${sign} check ${describeCheck(check)}`).toSorted()
  return [...lines('+', created), ...lines('-', removed)]
}

/** Ops that make a virtual service that is not there at all. */
export function createService(service: ServiceState): Op[] {
  const ops: Op[] = [{ kind: 'service.create', service, to: serviceConfig(service) }]
  for (const destination of service.destinations) {
    ops.push({
      kind: 'destination.create',
      service,
      destination,
      to: destination,
    })
  }
  return ops
}

/** False where the kernel holds settings that this vocabulary cannot say: never equal to what is wanted. */
type Exactness = { readonly exact?: boolean }
type StandingDestination = DestinationConfig & DestinationRef & Exactness

/** What `diffService` needs of the side that stands: a published state or what was observed. */
export type StandingService = ServiceConfig &
  ServiceRef &
  Exactness & { readonly destinations: readonly StandingDestination[] }

/** Edits (service, then new and changed destinations) and removals of one virtual service that stands. */
export function diffService(
  desired: ServiceState,
  current: StandingService,
): { edits: Op[]; removals: Op[] } {
  const edits: Op[] = []
  const removals: Op[] = []
  if (!sameServiceConfig(desired, current)) {
    edits.push({
      kind: 'service.update',
      service: desired,
      from: serviceConfig(current),
      to: serviceConfig(desired),
    })
  }
  const destinations =
    pairInOrder(desired.destinations, current.destinations) ??
    diffByKey(desired.destinations, current.destinations, destinationKey, destinationKey)
  for (const destination of destinations.created) {
    edits.push({
      kind: 'destination.create',
      service: desired,
      destination,
      to: destination,
    })
  }
  for (const [to, from] of destinations.kept) {
    if (!sameDestinationConfig(to, from)) {
      edits.push({
        kind: 'destination.update',
        service: desired,
        destination: to,
        from: destinationConfig(from),
        to,
      })
    }
  }
  for (const destination of destinations.removed) {
    removals.push({ kind: 'destination.remove', service: desired, destination })
  }
  return { edits, removals }
}

export function serviceConfig(service: ServiceConfig): ServiceConfig {
  return { scheduler: service.scheduler, flags: service.flags, persistence: service.persistence }
}

export function destinationConfig(destination: DestinationConfig): DestinationConfig {
  return {
    forwarding: destination.forwarding,
    weight: destination.weight,
    upperThreshold: destination.upperThreshold,
    lowerThreshold: destination.lowerThreshold,
  }
}

export function sameServiceConfig(a: ServiceConfig, b: ServiceConfig & Exactness): boolean {
  return (
    b.exact !== false &&
    a.scheduler === b.scheduler &&
    a.flags.length === b.flags.length &&
    a.flags.every((flag, i) => flag === b.flags[i]) &&
    a.persistence?.timeoutSeconds === b.persistence?.timeoutSeconds &&
    a.persistence?.prefixLength === b.persistence?.prefixLength &&
    a.persistence?.engine === b.persistence?.engine
  )
}

export function sameDestinationConfig(
  a: DestinationConfig,
  b: DestinationConfig & Exactness,
): boolean {
  return (
    b.exact !== false &&
    a.weight === b.weight &&
    sameForwarding(a.forwarding, b.forwarding) &&
    a.upperThreshold === b.upperThreshold &&
    a.lowerThreshold === b.lowerThreshold
  )
}

/** The kernel alone decides that a destination is local, and labels it differently by version: never a difference. */
function sameForwarding(a: Forwarding, b: Forwarding): boolean {
  if (a.method === 'local' || b.method === 'local') return true
  if (a.method !== b.method) return false
  if (a.method !== 'tun' || b.method !== 'tun') return true
  return sameTunnel(a.tunnel, b.tunnel)
}

function sameTunnel(a: Tunnel, b: Tunnel): boolean {
  if (a.type === 'gre') return b.type === 'gre' && a.checksum === b.checksum
  if (a.type === 'gue') return b.type === 'gue' && a.port === b.port && a.checksum === b.checksum
  return a.type === b.type
}

function removeService(service: ServiceState): Op[] {
  const ops: Op[] = service.destinations.map((destination) => ({
    kind: 'destination.remove',
    service,
    destination,
  }))
  return [...ops, { kind: 'service.remove', service }]
}

function diffNetwork(desired: HostState, current: HostState): { adds: Op[]; removals: Op[] } {
  const adds: Op[] = []
  const removals: Op[] = []
  const devices = diffByKey(desired.devices, current.devices, deviceKey, deviceKey)
  const guePorts = diffByKey(desired.guePorts, current.guePorts, guePortKey, guePortKey)
  const sysctls = diffByKey(
    desired.sysctls,
    current.sysctls,
    (s) => s.key,
    (s) => s.key,
  )
  const addresses = diffByKey(desired.addresses, current.addresses, addressKey, addressKey)
  const clamps = diffByKey(
    desired.clamps,
    current.clamps,
    (c) => c.address,
    (c) => c.address,
  )
  const sourceNats = diffByKey(desired.sourceNats, current.sourceNats, sourceNatKey, sourceNatKey)
  for (const device of devices.created) adds.push({ kind: 'device.create', device })
  for (const [device, from] of devices.kept) {
    if (!sameJson(device, from)) adds.push({ kind: 'device.update', device, from })
  }
  for (const guePort of guePorts.created) adds.push({ kind: 'gue-port.open', guePort })
  for (const sysctl of sysctls.created) {
    adds.push({ kind: 'sysctl.set', key: sysctl.key, from: 'as found', to: sysctl.value })
  }
  for (const [to, from] of sysctls.kept) {
    if (to.value !== from.value) {
      adds.push({ kind: 'sysctl.set', key: to.key, from: from.value, to: to.value })
    }
  }
  for (const clamp of clamps.created) adds.push({ kind: 'clamp.set', clamp, from: null })
  for (const [to, from] of clamps.kept) {
    if (to.mss !== from.mss) adds.push({ kind: 'clamp.set', clamp: to, from: from.mss })
  }
  diffIpvsSettings(desired, current, { adds, removals })
  for (const address of addresses.created) adds.push({ kind: 'address.add', address })
  for (const sourceNat of sourceNats.created) adds.push({ kind: 'source-nat.add', sourceNat })
  for (const sourceNat of sourceNats.removed) {
    removals.push({ kind: 'source-nat.remove', sourceNat })
  }
  for (const address of addresses.removed) removals.push({ kind: 'address.remove', address })
  for (const clamp of clamps.removed) removals.push({ kind: 'clamp.remove', clamp })
  for (const sysctl of sysctls.removed) {
    removals.push({ kind: 'sysctl.set', key: sysctl.key, from: sysctl.value, to: 'as found' })
  }
  for (const guePort of guePorts.removed) removals.push({ kind: 'gue-port.close', guePort })
  for (const device of devices.removed) removals.push({ kind: 'device.remove', device })
  return { adds, removals }
}

/** Only the checksum of a device can be edited: one whose ends change has another name. */
function deviceKey(device: DeviceState): string {
  return canonicalJson({ ...device, checksum: undefined })
}

/** Timeouts are values of the namespace; daemons cannot be edited, so one that changes is stopped and started. */
function diffIpvsSettings(
  desired: HostState,
  current: HostState,
  into: { readonly adds: Op[]; readonly removals: Op[] },
): void {
  const byName = (timeout: { readonly name: string }): string => timeout.name
  const timeouts = diffByKey(desired.timeouts, current.timeouts, byName, byName)
  for (const { name, seconds } of timeouts.created) {
    into.adds.push({ kind: 'timeout.set', name, from: null, to: seconds })
  }
  for (const [to, from] of timeouts.kept) {
    if (to.seconds === from.seconds) continue
    into.adds.push({ kind: 'timeout.set', name: to.name, from: from.seconds, to: to.seconds })
  }
  for (const { name, seconds } of timeouts.removed) {
    into.removals.push({ kind: 'timeout.set', name, from: seconds, to: null })
  }
  const daemons = diffByKey(desired.syncDaemons, current.syncDaemons, canonicalJson, canonicalJson)
  for (const daemon of daemons.removed) into.adds.push({ kind: 'sync.stop', daemon })
  for (const daemon of daemons.created) into.adds.push({ kind: 'sync.start', daemon })
}

function diffMarks(desired: HostState, current: HostState): Op[] {
  const marks = diffByKey(desired.marks, current.marks, markKey, markKey)
  const ops: Op[] = marks.removed.map((mark) => ({ kind: 'mark.remove', mark }))
  for (const mark of marks.created) ops.push({ kind: 'mark.set', mark, from: null })
  for (const [to, from] of marks.kept) {
    if (to.mark !== from.mark) ops.push({ kind: 'mark.set', mark: to, from: from.mark })
  }
  return ops
}
