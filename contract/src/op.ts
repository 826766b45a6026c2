/**
 * Op: one change of one kernel object, as data. Plans, dry runs, outcomes, drift and logs all speak it.
 * `describeOp` is the one line that people read.
 */
import { assertNever } from './assert.ts'
import {
  addressKey,
  destinationKey,
  guePortKey,
  isProbe,
  markKey,
  serviceKey,
  sourceNatKey,
  type AddressState,
  type ClampState,
  type DestinationRef,
  type DestinationState,
  type DeviceState,
  type GuePortState,
  type MarkState,
  type ServiceRef,
  type ServiceSettings,
  type SourceNatState,
  type SyncDaemonState,
  type TimeoutState,
} from './host-state.ts'
import type { Forwarding, Tunnel } from './ipvs.ts'

/** What may be edited in a virtual service that stands. A kernel may show schedulers that our list lacks. */
export type ServiceConfig = Pick<ServiceSettings, 'flags' | 'persistence'> & {
  readonly scheduler: string
}
/** What may be edited in a destination that stands. */
export type DestinationConfig = Pick<
  DestinationState,
  'forwarding' | 'weight' | 'upperThreshold' | 'lowerThreshold'
>

export type Op =
  | { kind: 'device.create'; device: DeviceState }
  | { kind: 'device.update'; device: DeviceState; from: DeviceState }
  | { kind: 'device.remove'; device: DeviceState }
  | { kind: 'gue-port.open'; guePort: GuePortState }
  | { kind: 'gue-port.close'; guePort: GuePortState }
  | { kind: 'sysctl.set'; key: string; from: string; to: string }
  | { kind: 'address.add'; address: AddressState }
  | { kind: 'address.remove'; address: AddressState }
  | { kind: 'clamp.set'; clamp: ClampState; from: number | null }
  | { kind: 'clamp.remove'; clamp: ClampState }
  | { kind: 'mark.set'; mark: MarkState; from: number | null }
  | { kind: 'mark.remove'; mark: MarkState }
  /** Seconds; null = what was found there, which only the host knows. */
  | { kind: 'timeout.set'; name: TimeoutState['name']; from: number | null; to: number | null }
  | { kind: 'sync.start'; daemon: SyncDaemonState }
  | { kind: 'sync.stop'; daemon: SyncDaemonState }
  | { kind: 'source-nat.add'; sourceNat: SourceNatState }
  | { kind: 'source-nat.remove'; sourceNat: SourceNatState }
  | { kind: 'service.create'; service: ServiceRef; to: ServiceConfig }
  | { kind: 'service.update'; service: ServiceRef; from: ServiceConfig; to: ServiceConfig }
  | { kind: 'service.remove'; service: ServiceRef }
  | {
      kind: 'destination.create'
      service: ServiceRef
      destination: DestinationRef
      to: DestinationConfig
    }
  | {
      kind: 'destination.update'
      service: ServiceRef
      destination: DestinationRef
      from: DestinationConfig
      to: DestinationConfig
    }
  | { kind: 'destination.remove'; service: ServiceRef; destination: DestinationRef }

export type OpKind = Op['kind']

/** One line: `+` creates, `~` edits in place, `-` removes. */
export function describeOp(op: Op): string {
  switch (op.kind) {
    case 'device.create':
      return `+ device ${describeDevice(op.device)}`
    case 'device.update':
      return `~ device ${describeDevice(op.from)} -> ${describeDevice(op.device)}`
    case 'device.remove':
      return `- device ${describeDevice(op.device)}`
    case 'gue-port.open':
      return `+ gue port ${guePortKey(op.guePort)}`
    case 'gue-port.close':
      return `- gue port ${guePortKey(op.guePort)}`
    case 'sysctl.set':
      return `~ sysctl ${op.key} ${op.from} -> ${op.to}`
    case 'address.add':
      return `+ address ${addressKey(op.address)}`
    case 'address.remove':
      return `- address ${addressKey(op.address)}`
    case 'clamp.set':
      return op.from === null
        ? `+ mss clamp ${op.clamp.address} ${op.clamp.mss}`
        : `~ mss clamp ${op.clamp.address} ${op.from} -> ${op.clamp.mss}`
    case 'clamp.remove':
      return `- mss clamp ${op.clamp.address}`
    case 'mark.set':
      return op.from === null
        ? `+ mark ${markKey(op.mark)} ${op.mark.mark}`
        : `~ mark ${markKey(op.mark)} ${op.from} -> ${op.mark.mark}`
    case 'mark.remove':
      return `- mark ${markKey(op.mark)}`
    case 'timeout.set':
      return `~ ipvs timeout ${op.name} ${op.from ?? 'as found'} -> ${op.to ?? 'as found'}`
    case 'sync.start':
      return `+ sync daemon ${describeSync(op.daemon)}`
    case 'sync.stop':
      return `- sync daemon ${op.daemon.role}`
    case 'source-nat.add':
      return `+ source nat ${sourceNatKey(op.sourceNat)}`
    case 'source-nat.remove':
      return `- source nat ${sourceNatKey(op.sourceNat)}`
    case 'service.create':
      return `+ ${nameOf(op.service)} ${describeService(op.to)}`
    case 'service.update':
      return `~ ${nameOf(op.service)} ${describeService(op.from)} -> ${describeService(op.to)}`
    case 'service.remove':
      return `- ${nameOf(op.service)}`
    case 'destination.create':
      return `+ destination ${pathOf(op)} ${describeDestination(op.to)}`
    case 'destination.update':
      return `~ destination ${pathOf(op)} ${describeDestination(op.from)} -> ${describeDestination(op.to)}`
    case 'destination.remove':
      return `- destination ${pathOf(op)}`
    default:
      return assertNever(op)
  }
}

/** `nat`, `dr`, `local`, `tun ipip`, `tun gre csum`, `tun gue 6080 remcsum`. */
export function describeForwarding(forwarding: Forwarding): string {
  return forwarding.method === 'tun'
    ? `tun ${describeTunnel(forwarding.tunnel)}`
    : forwarding.method
}

export function describeTunnel(tunnel: Tunnel): string {
  switch (tunnel.type) {
    case 'ipip':
      return 'ipip'
    case 'gre':
      return tunnel.checksum ? 'gre csum' : 'gre'
    case 'gue':
      return `gue ${tunnel.port}${tunnel.checksum === 'none' ? '' : ` ${tunnel.checksum}`}`
    default:
      return assertNever(tunnel)
  }
}

/** The service of a path is no virtual service to whoever reads this. */
function nameOf(service: ServiceRef): string {
  return `${isProbe(service) ? 'probe' : 'service'} ${serviceKey(service)}`
}

function pathOf(op: {
  readonly service: ServiceRef
  readonly destination: DestinationRef
}): string {
  return `${serviceKey(op.service)} > ${destinationKey(op.destination)}`
}

function describeDevice(device: DeviceState): string {
  if (device.kind === 'dummy') return `${device.name} dummy`
  const checksum = 'checksum' in device && device.checksum ? ' csum' : ''
  return `${device.name} ${device.kind} local ${device.local} remote ${device.remote}${checksum}`
}

function describeSync({ role, place, syncId, group, port, ttl, maxlen }: SyncDaemonState): string {
  const where = 'device' in place ? place.device : `holding ${place.holding}`
  const size = maxlen === null ? '' : ` maxlen ${maxlen}`
  return `${role} id ${syncId} on ${where} group ${group} port ${port} ttl ${ttl}${size}`
}

function describeService(config: ServiceConfig): string {
  const flags = config.flags.length === 0 ? '' : ` (${config.flags.join(', ')})`
  const persistence =
    config.persistence === null
      ? ''
      : ` persistent ${config.persistence.timeoutSeconds}s /${config.persistence.prefixLength}${config.persistence.engine === null ? '' : ` by ${config.persistence.engine}`}`
  return `${config.scheduler}${flags}${persistence}`
}

function describeDestination(config: DestinationConfig): string {
  const thresholds =
    config.upperThreshold === 0 && config.lowerThreshold === 0
      ? ''
      : ` thresholds ${config.lowerThreshold}..${config.upperThreshold}`
  return `${describeForwarding(config.forwarding)} weight ${config.weight}${thresholds}`
}
