/** What the fake kernel does with ops of IPVS: the kernel's own refusals, then the change. */
import {
  destinationConfig,
  destinationKey,
  familyOf,
  serviceConfig,
  serviceFamily,
  serviceKey,
  serviceRef,
  type DestinationConfig,
  type DestinationRef,
  type Op,
  type ServiceRef,
} from '@lvs-fleet/contract'
import { linkIndexOf, type Failure, type KernelTables } from './kernel-tables.ts'

export type IpvsOp = Extract<
  Op,
  { kind: `${'service' | 'destination' | 'timeout' | 'sync'}.${string}` }
>

export function isIpvsOp(op: Op): op is IpvsOp {
  return /^(service|destination|timeout|sync)\./.test(op.kind)
}

/** Undefined = done. */
export function performIpvs(tables: KernelTables, op: IpvsOp): Failure | undefined {
  switch (op.kind) {
    case 'service.create': {
      const key = serviceKey(op.service)
      if (tables.services.has(key)) return { code: 'EEXIST', message: 'exists' }
      if (op.to.scheduler === 'twos') return { code: 'ENOENT', message: 'no such scheduler' }
      tables.services.set(key, {
        ...serviceRef(op.service),
        config: serviceConfig(op.to),
        exact: true,
        destinations: new Map(),
      })
      return undefined
    }
    case 'service.update': {
      const service = tables.services.get(serviceKey(op.service))
      if (service === undefined) return { code: 'ESRCH', message: 'no such service' }
      if (op.to.scheduler === 'twos') return { code: 'ENOENT', message: 'no such scheduler' }
      service.config = serviceConfig(op.to)
      service.exact = true
      return undefined
    }
    case 'service.remove':
      return tables.services.delete(serviceKey(op.service))
        ? undefined
        : { code: 'ESRCH', message: 'no such service' }
    case 'destination.create': {
      const service = tables.services.get(serviceKey(op.service))
      if (service === undefined) return { code: 'ESRCH', message: 'no such service' }
      const key = destinationKey(op.destination)
      if (service.destinations.has(key)) return { code: 'EEXIST', message: 'exists' }
      const refusal = refuse(tables, service, op.destination, op.to)
      if (refusal !== undefined) return refusal
      const { address, port } = op.destination
      service.destinations.set(key, {
        address,
        port,
        config: destinationConfig(op.to),
        exact: true,
        active: 0,
        inactive: 0,
        persistent: 0,
      })
      return undefined
    }
    case 'destination.update': {
      const service = tables.services.get(serviceKey(op.service))
      if (service === undefined) return { code: 'ESRCH', message: 'no such service' }
      const destination = service.destinations.get(destinationKey(op.destination))
      if (destination === undefined) return { code: 'ENOENT', message: 'no such destination' }
      const refusal = refuse(tables, service, op.destination, op.to)
      if (refusal !== undefined) return refusal
      destination.config = destinationConfig(op.to)
      destination.exact = true
      return undefined
    }
    case 'destination.remove': {
      const service = tables.services.get(serviceKey(op.service))
      if (service === undefined) return { code: 'ESRCH', message: 'no such service' }
      const gone = service.destinations.delete(destinationKey(op.destination))
      return gone ? undefined : { code: 'ENOENT', message: 'no such destination' }
    }
    case 'timeout.set':
      tables.timeouts = { ...tables.timeouts, [op.name]: op.to ?? tables.timeouts[op.name] }
      return undefined
    case 'sync.start': {
      const { place, maxlen, ...daemon } = op.daemon
      const index = linkIndexOf(tables, place)
      const device = [...tables.links.values()].find((link) => link.index === index)?.name
      if (device === undefined) return { code: 'ENODEV', message: 'no such interface' }
      if (tables.syncDaemons.has(daemon.role)) return { code: 'EEXIST', message: 'runs already' }
      if (hasMixedFamilies(tables)) return { code: 'EINVAL', message: 'mixed families' }
      tables.syncDaemons.set(daemon.role, { ...daemon, device, maxlen: maxlen ?? 1472 })
      return undefined
    }
    case 'sync.stop':
      return tables.syncDaemons.delete(op.daemon.role)
        ? undefined
        : { code: 'ESRCH', message: 'no such daemon' }
  }
}

function hasMixedFamilies({ services }: KernelTables): boolean {
  return [...services.values()].some((service) =>
    [...service.destinations.values()].some(
      (destination) => familyOf(destination.address) !== serviceFamily(service),
    ),
  )
}

function refuse(
  tables: KernelTables,
  service: ServiceRef,
  ref: DestinationRef,
  to: DestinationConfig,
): Failure | undefined {
  const isMixed = familyOf(ref.address) !== serviceFamily(service)
  if (isMixed && tables.syncDaemons.size > 0) return { code: 'EINVAL', message: 'sync daemon runs' }
  return refuseDestination(service, ref, to)
}

function refuseDestination(
  service: ServiceRef,
  ref: DestinationRef,
  to: DestinationConfig,
): Failure | undefined {
  if (to.lowerThreshold > to.upperThreshold) return { code: 'ERANGE', message: 'out of range' }
  const mixed = serviceFamily(service) !== familyOf(ref.address)
  if (mixed && to.forwarding.method !== 'tun') return { code: 'EINVAL', message: 'family mix' }
  if (to.forwarding.method === 'tun') {
    const { tunnel } = to.forwarding
    if (tunnel.type === 'gue' && tunnel.port === 0) return { code: 'EINVAL', message: 'gue port 0' }
  }
  return undefined
}
