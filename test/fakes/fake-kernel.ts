/**
 * A kernel that behaves: same keys, same refusals, dumps newest first, objects of other people, hand edits,
 * faults on demand, death after N writes. Tests read it back as text, as an operator would with ipvsadm -Sn.
 */
import {
  compareIps,
  compareServices,
  describeForwarding,
  describeOp,
  destinationConfig,
  destinationKey,
  familyOf,
  guePortKey,
  hostPrefixLength,
  markKey,
  serviceConfig,
  serviceFamily,
  serviceKey,
  serviceRef,
  sourceNatKey,
  type ClampState,
  type DestinationConfig,
  type DestinationRef,
  type Ip,
  type MarkState,
  type Op,
  type ServiceConfig,
  type ServiceRef,
  type SourceNatState,
} from '@lvs-fleet/contract'
import {
  KernelError,
  type Kernel,
  type ObservedAddress,
  type ObservedDestination,
  type ObservedGuePort,
  type ObservedLink,
  type ObservedSyncDaemon,
  type ObservedTimeouts,
  type Outcome,
  type TrafficStats,
} from '../../services/agent/src/kernel/kernel.ts'

const NO_STATS: TrafficStats = {
  connections: 0n,
  inPackets: 0n,
  outPackets: 0n,
  inBytes: 0n,
  outBytes: 0n,
}

/** The process died in the middle of an effect: everything it tries afterwards dies too. */
export class Crash extends Error {
  override readonly name = 'Crash'
}

export type FakeDestination = DestinationRef & {
  config: DestinationConfig
  exact: boolean
  active: number
  inactive: number
  /** Templates of persistent clients. */
  persistent: number
}
export type FakeService = ServiceRef & {
  config: ServiceConfig
  exact: boolean
  destinations: Map<string, FakeDestination>
}
type Failure = { readonly code: string; readonly message: string }
/** Undefined = the op goes through to the fake. */
export type Fault = (op: Op) => Failure | undefined

export type FakeKernel = Kernel & {
  readonly services: Map<string, FakeService>
  readonly links: Map<string, ObservedLink>
  readonly addresses: ObservedAddress[]
  readonly sysctls: Map<string, string>
  /** By `address:port`, `*:port` where open for every address. */
  readonly guePorts: Map<string, ObservedGuePort>
  readonly clamps: Map<string, ClampState>
  readonly marks: Map<string, MarkState>
  timeouts: ObservedTimeouts
  readonly syncDaemons: Map<string, ObservedSyncDaemon>
  readonly sourceNats: Map<string, SourceNatState>
  /** Ops that changed something, as text, in order. */
  readonly journal: string[]
  readonly calls: {
    listServices: number
    listDestinations: number
    destinationsListedFor: number
    apply: number
  }
  fault: Fault | undefined
  /** Reads throw this while it is set. */
  readFault: KernelError | undefined
  /** Called after each op that was carried out; throws Crash to die there. */
  afterOp: ((op: Op) => void) | undefined
  /** Called before each op: a place for other people to meddle, or to die. */
  beforeOp: ((op: Op) => void) | undefined
  /** Changes of others; announced like the kernel does. */
  byHand(op: Op): void
  setConnections(
    service: string,
    destination: string,
    active: number,
    inactive?: number,
    persistent?: number,
  ): void
  /** A reboot: everything is gone, and so is the scope. */
  reboot(): void
  usable(service: string): number
  describe(): string
}

export function createFakeKernel(options: { readonly scope?: string } = {}): FakeKernel {
  const services = new Map<string, FakeService>()
  const links = new Map<string, ObservedLink>()
  const addresses: ObservedAddress[] = []
  const sysctls = new Map<string, string>()
  const guePorts = new Map<string, ObservedGuePort>()
  const clamps = new Map<string, ClampState>()
  const marks = new Map<string, MarkState>()
  const syncDaemons = new Map<string, ObservedSyncDaemon>()
  const sourceNats = new Map<string, SourceNatState>()
  const listeners = new Set<() => void>()
  let scope = options.scope ?? 'boot-1/net-1'
  let nextIndex = 2
  let writes = 0

  const addLink = (
    name: string,
    kind: string,
    local: Ip | null = null,
    remote: Ip | null = null,
    checksum = false,
  ): void => {
    links.set(name, {
      index: nextIndex++,
      name,
      kind,
      up: true,
      mtu: 1500,
      local,
      remote,
      checksum,
    })
  }
  addLink('eth0', '')

  const linkIndexOf = (
    op: Extract<Op, { kind: 'address.add' | 'address.remove' }>,
  ): number | undefined => {
    const { place } = op.address
    if ('device' in place) return links.get(place.device)?.index
    return addresses.find((address) => address.address === place.holding)?.linkIndex
  }

  const perform = (op: Op): Failure | undefined => {
    switch (op.kind) {
      case 'service.create': {
        const key = serviceKey(op.service)
        if (services.has(key)) return { code: 'EEXIST', message: 'exists' }
        if (op.to.scheduler === 'twos') return { code: 'ENOENT', message: 'no such scheduler' }
        services.set(key, {
          ...serviceRef(op.service),
          config: serviceConfig(op.to),
          exact: true,
          destinations: new Map(),
        })
        return undefined
      }
      case 'service.update': {
        const service = services.get(serviceKey(op.service))
        if (service === undefined) return { code: 'ESRCH', message: 'no such service' }
        if (op.to.scheduler === 'twos') return { code: 'ENOENT', message: 'no such scheduler' }
        service.config = serviceConfig(op.to)
        service.exact = true
        return undefined
      }
      case 'service.remove':
        return services.delete(serviceKey(op.service))
          ? undefined
          : { code: 'ESRCH', message: 'no such service' }
      case 'destination.create': {
        const service = services.get(serviceKey(op.service))
        if (service === undefined) return { code: 'ESRCH', message: 'no such service' }
        const key = destinationKey(op.destination)
        if (service.destinations.has(key)) return { code: 'EEXIST', message: 'exists' }
        const refusal = refuse(service, op.destination, op.to)
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
        const service = services.get(serviceKey(op.service))
        if (service === undefined) return { code: 'ESRCH', message: 'no such service' }
        const destination = service.destinations.get(destinationKey(op.destination))
        if (destination === undefined) return { code: 'ENOENT', message: 'no such destination' }
        const refusal = refuse(service, op.destination, op.to)
        if (refusal !== undefined) return refusal
        destination.config = destinationConfig(op.to)
        destination.exact = true
        return undefined
      }
      case 'destination.remove': {
        const service = services.get(serviceKey(op.service))
        if (service === undefined) return { code: 'ESRCH', message: 'no such service' }
        const gone = service.destinations.delete(destinationKey(op.destination))
        return gone ? undefined : { code: 'ENOENT', message: 'no such destination' }
      }
      case 'device.create': {
        const { device } = op
        if (links.has(device.name)) return { code: 'EEXIST', message: 'exists' }
        if (device.kind === 'dummy') addLink(device.name, 'dummy')
        else {
          const { name, kind, local, remote } = device
          // One device of a kind for two ends, whatever its other settings (ip_tunnel_find).
          for (const link of links.values()) {
            if (link.kind === kind && link.local === local && link.remote === remote)
              return { code: 'EEXIST', message: 'exists' }
          }
          addLink(name, kind, local, remote, 'checksum' in device && device.checksum)
        }
        sysctls.set(`net.ipv4.conf.${device.name}.rp_filter`, '1')
        return undefined
      }
      case 'device.update': {
        const { device } = op
        const link = links.get(device.name)
        if (link === undefined) return { code: 'ENODEV', message: 'no such device' }
        const checksum = 'checksum' in device && device.checksum
        links.set(device.name, { ...link, checksum })
        return undefined
      }
      case 'gue-port.open': {
        const { address, port } = op.guePort
        const family = familyOf(address)
        for (const standing of guePorts.values()) {
          const isSame = standing.port === port && standing.family === family
          if (isSame && (standing.address === null || standing.address === address))
            return { code: 'EADDRINUSE', message: 'address in use' }
        }
        guePorts.set(guePortKey(op.guePort), { address, family, port, exact: true })
        return undefined
      }
      case 'gue-port.close':
        return guePorts.delete(guePortKey(op.guePort))
          ? undefined
          : { code: 'EINVAL', message: 'no such port' }
      case 'device.remove': {
        const link = links.get(op.device.name)
        if (link === undefined) return { code: 'ENODEV', message: 'no such device' }
        links.delete(op.device.name)
        sysctls.delete(`net.ipv4.conf.${op.device.name}.rp_filter`)
        for (let i = addresses.length - 1; i >= 0; i--) {
          if (addresses[i]?.linkIndex === link.index) addresses.splice(i, 1)
        }
        return undefined
      }
      case 'address.add': {
        const linkIndex = linkIndexOf(op)
        if (linkIndex === undefined) return { code: 'ENODEV', message: 'no interface for it' }
        const { address } = op.address
        const taken = addresses.some(
          (held) => held.address === address && held.linkIndex === linkIndex,
        )
        if (taken) return { code: 'EEXIST', message: 'exists' }
        const deprecated = familyOf(address) === 'ipv6'
        addresses.push({ address, prefixLength: hostPrefixLength(address), linkIndex, deprecated })
        return undefined
      }
      case 'address.remove': {
        const linkIndex = linkIndexOf(op)
        if (linkIndex === undefined) return { code: 'ENODEV', message: 'no interface for it' }
        const { address } = op.address
        const at = addresses.findIndex(
          (held) => held.address === address && held.linkIndex === linkIndex,
        )
        if (at === -1) return { code: 'EADDRNOTAVAIL', message: 'no such address' }
        addresses.splice(at, 1)
        return undefined
      }
      case 'sysctl.set':
        if (!sysctls.has(op.key)) return { code: 'ENOENT', message: 'no such sysctl' }
        sysctls.set(op.key, op.to)
        return undefined
      case 'clamp.set':
        clamps.set(op.clamp.address, op.clamp)
        return undefined
      case 'clamp.remove':
        return clamps.delete(op.clamp.address)
          ? undefined
          : { code: 'ENOENT', message: 'no such clamp' }
      case 'mark.set': {
        const key = markKey(op.mark)
        const others = [...marks].filter(([other]) => other !== key)
        if (others.some(([, other]) => overlap(other, op.mark))) {
          return { code: 'EEXIST', message: 'overlaps another element' }
        }
        marks.set(key, op.mark)
        return undefined
      }
      case 'mark.remove':
        return marks.delete(markKey(op.mark))
          ? undefined
          : { code: 'ENOENT', message: 'no such mark' }
      case 'timeout.set':
        kernel.timeouts = { ...kernel.timeouts, [op.name]: op.to ?? kernel.timeouts[op.name] }
        return undefined
      case 'sync.start': {
        const { place, maxlen, ...daemon } = op.daemon
        const index =
          'device' in place
            ? links.get(place.device)?.index
            : addresses.find(({ address }) => address === place.holding)?.linkIndex
        const device = [...links.values()].find((link) => link.index === index)?.name
        if (device === undefined) return { code: 'ENODEV', message: 'no such interface' }
        if (syncDaemons.has(daemon.role)) return { code: 'EEXIST', message: 'runs already' }
        if (hasMixedFamilies()) return { code: 'EINVAL', message: 'mixed families' }
        syncDaemons.set(daemon.role, { ...daemon, device, maxlen: maxlen ?? 1472 })
        return undefined
      }
      case 'sync.stop':
        return syncDaemons.delete(op.daemon.role)
          ? undefined
          : { code: 'ESRCH', message: 'no such daemon' }
      case 'source-nat.add':
        sourceNats.set(sourceNatKey(op.sourceNat), op.sourceNat)
        return undefined
      case 'source-nat.remove':
        return sourceNats.delete(sourceNatKey(op.sourceNat))
          ? undefined
          : { code: 'ENOENT', message: 'no such source nat' }
    }
  }

  const hasMixedFamilies = (): boolean =>
    [...services.values()].some((service) =>
      [...service.destinations.values()].some(
        (destination) => familyOf(destination.address) !== serviceFamily(service),
      ),
    )

  const refuse = (
    service: ServiceRef,
    ref: DestinationRef,
    to: DestinationConfig,
  ): Failure | undefined => {
    const isMixed = familyOf(ref.address) !== serviceFamily(service)
    if (isMixed && syncDaemons.size > 0) return { code: 'EINVAL', message: 'sync daemon runs' }
    return refuseDestination(service, ref, to)
  }

  const observe = (destination: FakeDestination): ObservedDestination => ({
    address: destination.address,
    port: destination.port,
    ...destination.config,
    exact: destination.exact,
    activeConnections: destination.active,
    inactiveConnections: destination.inactive,
    persistentConnections: destination.persistent,
    stats: NO_STATS,
  })

  const read = async <T>(answer: () => T): Promise<T> => {
    if (kernel.readFault !== undefined) throw kernel.readFault
    return answer()
  }

  const kernel: FakeKernel = {
    services,
    links,
    addresses,
    sysctls,
    guePorts,
    clamps,
    marks,
    timeouts: { tcp: 900, tcpFin: 120, udp: 300 },
    syncDaemons,
    sourceNats,
    journal: [],
    calls: { listServices: 0, listDestinations: 0, destinationsListedFor: 0, apply: 0 },
    fault: undefined,
    readFault: undefined,
    afterOp: undefined,
    beforeOp: undefined,
    listServices: () =>
      read(() => {
        kernel.calls.listServices++
        const list = [...services.values()].toReversed()
        return {
          services: list.map((service) => ({
            ...serviceRef(service),
            ...service.config,
            exact: service.exact,
            stats: NO_STATS,
          })),
          unnamedCount: 0,
        }
      }),
    listDestinations: (refs) =>
      read(() => {
        kernel.calls.listDestinations++
        kernel.calls.destinationsListedFor += refs.length
        return refs.map((ref) => {
          const service = services.get(serviceKey(ref))
          return service && [...service.destinations.values()].toReversed().map(observe)
        })
      }),
    observeNetwork: () => read(() => ({ links: [...links.values()], addresses: [...addresses] })),
    readSysctls: (keys) => read(() => new Map(keys.map((key) => [key, sysctls.get(key)]))),
    observeGuePorts: () => read(() => [...guePorts.values()]),
    observeClamps: () => read(() => [...clamps.values()]),
    observeMarks: () => read(() => [...marks.values()]),
    readTimeouts: () => read(() => kernel.timeouts),
    listSyncDaemons: () => read(() => [...syncDaemons.values()]),
    observeSourceNats: () => read(() => [...sourceNats.values()]),
    async apply(ops) {
      kernel.calls.apply++
      const outcomes: Outcome[] = []
      for (const op of ops) {
        kernel.beforeOp?.(op)
        writes++
        const failure = kernel.fault?.(op) ?? perform(op)
        if (failure === undefined) kernel.journal.push(describeOp(op))
        outcomes.push(failure === undefined ? { op, ok: true } : { op, ok: false, ...failure })
        kernel.afterOp?.(op)
      }
      return outcomes
    },
    onNetworkChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    scope: async () => scope,
    writeCount: () => writes,
    close: () => undefined,
    byHand(op) {
      const failure = perform(op)
      if (failure !== undefined)
        throw new KernelError(describeOp(op), failure.code, failure.message)
      if (op.kind.startsWith('device') || op.kind.startsWith('address'))
        for (const listener of listeners) listener()
    },
    setConnections(service, destination, active, inactive = 0, persistent = 0) {
      const found = services.get(service)?.destinations.get(destination)
      if (found === undefined) throw new Error(`no ${service} > ${destination}`)
      found.active = active
      found.inactive = inactive
      found.persistent = persistent
    },
    reboot() {
      services.clear()
      clamps.clear()
      guePorts.clear()
      marks.clear()
      syncDaemons.clear()
      kernel.timeouts = { tcp: 900, tcpFin: 120, udp: 300 }
      sourceNats.clear()
      for (const name of links.keys()) if (name !== 'eth0') links.delete(name)
      addresses.length = 0
      scope = `${scope}+`
    },
    usable(service) {
      const destinations = services.get(service)?.destinations.values() ?? []
      return [...destinations].filter((destination) => destination.config.weight > 0).length
    },
    describe() {
      const lines: string[] = []
      for (const service of [...services.values()].toSorted(compareServices)) {
        const { scheduler, flags, persistence } = service.config
        const name = nameOf(service)
        const flagText = flags.length === 0 ? '' : ` -b ${flags.join(',')}`
        const persistent =
          persistence === null
            ? ''
            : ` -p ${persistence.timeoutSeconds}/${persistence.prefixLength}${persistence.engine === null ? '' : ` --pe ${persistence.engine}`}`
        lines.push(`-A ${name} -s ${scheduler}${flagText}${persistent}`)
        for (const destination of [...service.destinations.values()].toSorted(
          (a, b) => compareIps(a.address, b.address) || a.port - b.port,
        )) {
          const { forwarding, weight, upperThreshold, lowerThreshold } = destination.config
          const limits =
            upperThreshold + lowerThreshold === 0
              ? ''
              : ` -x ${upperThreshold} -y ${lowerThreshold}`
          lines.push(
            `-a ${name} -r ${destinationKey(destination)} ${describeForwarding(forwarding)} -w ${weight}${limits}`,
          )
        }
      }
      for (const link of links.values())
        if (link.name !== 'eth0')
          lines.push(
            `device ${link.name} ${link.kind}${link.checksum ? ' csum' : ''}${link.up ? '' : ' down'}`,
          )
      for (const key of guePorts.keys()) lines.push(`gue port ${key}`)
      for (const address of addresses) {
        const name =
          [...links.values()].find((link) => link.index === address.linkIndex)?.name ?? '?'
        lines.push(`address ${address.address}/${address.prefixLength} ${name}`)
      }
      for (const [key, value] of sysctls) lines.push(`sysctl ${key}=${value}`)
      for (const clamp of clamps.values()) lines.push(`clamp ${clamp.address} ${clamp.mss}`)
      for (const [key, { mark }] of marks) lines.push(`mark ${key} ${mark}`)
      for (const { role, device, syncId } of syncDaemons.values())
        lines.push(`sync ${role} ${device} ${syncId}`)
      for (const key of sourceNats.keys()) lines.push(`source nat ${key}`)
      return lines.map((line) => `${line}\n`).join('')
    },
  }
  return kernel
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

function overlap(a: MarkState, b: MarkState): boolean {
  return (
    a.protocol === b.protocol &&
    a.address === b.address &&
    a.ports.from <= b.ports.to &&
    b.ports.from <= a.ports.to
  )
}

function nameOf(service: ServiceRef): string {
  if ('firewallMark' in service) {
    return `-f ${service.firewallMark}${service.family === 'ipv6' ? ' -6' : ''}`
  }
  const { protocol } = service
  const option = protocol === 'sctp' ? '--sctp-service' : `-${protocol.charAt(0)}`
  return `${option} ${serviceKey(service).slice(protocol.length + 1)}`
}
