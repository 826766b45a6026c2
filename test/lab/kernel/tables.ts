/** Generated IPVS tables: as states, as ops, and as the lines that `ipvsadm -Sn` prints for them. */
import {
  destinationKey,
  FAMILIES,
  familyOf,
  GUE_CHECKSUMS,
  ip,
  PERSISTENCE_ENGINES,
  PROTOCOLS,
  SCHEDULERS,
  serviceFamily,
  serviceKey,
  SERVICE_FLAGS,
  type DestinationConfig,
  type DestinationRef,
  type Family,
  type Forwarding,
  type Op,
  type ServiceConfig,
  type ServiceFlag,
  type ServiceRef,
  type Tunnel,
} from '@lvs-fleet/contract'
import fc from 'fast-check'

export type Destination = { readonly ref: DestinationRef; readonly config: DestinationConfig }
export type Service = {
  readonly ref: ServiceRef
  readonly config: ServiceConfig
  readonly destinations: readonly Destination[]
}

/** All but twos, which Debian does not build. */
const DEBIAN_SCHEDULERS = SCHEDULERS.filter((scheduler) => scheduler !== 'twos')

const v4 = (net: number) =>
  fc.tuple(fc.nat(255), fc.integer({ min: 1, max: 254 })).map(([a, b]) => ip(`10.${net}.${a}.${b}`))
const v6 = (net: number) =>
  fc.integer({ min: 1, max: 0xffff }).map((n) => ip(`fd0${net}::${n.toString(16)}`))
const port = fc.integer({ min: 1, max: 65_535 })

function serviceConfig(family: Family): fc.Arbitrary<ServiceConfig> {
  const prefixLength = fc.integer({ min: 1, max: family === 'ipv4' ? 32 : 128 })
  const engine = fc.constantFrom(null, ...PERSISTENCE_ENGINES)
  return fc.record({
    scheduler: fc.constantFrom(...DEBIAN_SCHEDULERS),
    flags: fc.subarray([...SERVICE_FLAGS]),
    persistence: fc.option(
      fc.record({ timeoutSeconds: fc.integer({ min: 1, max: 86_400 }), prefixLength, engine }),
    ),
  })
}

const throughTunnel: fc.Arbitrary<Forwarding> = fc
  .oneof(
    fc.constant<Tunnel>({ type: 'ipip' }),
    fc.boolean().map((checksum): Tunnel => ({ type: 'gre', checksum })),
    fc
      .tuple(port, fc.constantFrom(...GUE_CHECKSUMS))
      .map(([number, checksum]): Tunnel => ({ type: 'gue', port: number, checksum })),
  )
  .map((tunnel) => ({ method: 'tun', tunnel }))

/** Only tunnels cross from one family to the other. */
function destinationConfig(sameFamily: boolean): fc.Arbitrary<DestinationConfig> {
  const others: readonly Forwarding[] = [{ method: 'nat' }, { method: 'dr' }, { method: 'local' }]
  return fc
    .record({
      forwarding: fc.oneof(throughTunnel, ...(sameFamily ? [fc.constantFrom(...others)] : [])),
      weight: fc.integer({ min: 0, max: 65_535 }),
      thresholds: fc.tuple(fc.nat(100_000), fc.nat(100_000)),
    })
    .map(({ thresholds: [a, b], ...config }) => ({
      ...config,
      upperThreshold: Math.max(a, b),
      lowerThreshold: Math.min(a, b),
    }))
}

function destinations(service: ServiceRef): fc.Arbitrary<readonly Destination[]> {
  // Without a port of its own a destination of a firewall mark keeps the client's.
  const ends = 'firewallMark' in service ? fc.oneof(fc.constant(0), port) : port
  const ref = fc.record({ address: fc.oneof(v4(2), v6(2)), port: ends })
  const destination = ref.chain((key) =>
    destinationConfig(familyOf(key.address) === serviceFamily(service)).map((config) => ({
      ref: key,
      config,
    })),
  )
  const selector = ({ ref: { address, port: number } }: Destination) => `${address} ${number}`
  return fc.uniqueArray(destination, { maxLength: 6, selector })
}

export function tableOf(serviceCount: number): fc.Arbitrary<readonly Service[]> {
  const endpoints = fc.record({
    protocol: fc.constantFrom(...PROTOCOLS),
    address: fc.oneof(v4(1), v6(1)),
    port,
  })
  const marks = fc.record({
    protocol: fc.constant('fwmark' as const),
    firewallMark: fc.integer({ min: 1, max: 0xffff_ffff }),
    family: fc.constantFrom(...FAMILIES),
  })
  const ref: fc.Arbitrary<ServiceRef> = fc.oneof({ weight: 3, arbitrary: endpoints }, marks)
  const service = ref.chain((key) =>
    fc.record({
      ref: fc.constant(key),
      config: serviceConfig(serviceFamily(key)),
      destinations: destinations(key),
    }),
  )
  const selector = (service: Service) => serviceKey(service.ref)
  const sizes = { minLength: serviceCount, maxLength: serviceCount }
  return fc.uniqueArray(service, { ...sizes, selector, size: 'max' })
}

/** The same services and destinations with other settings. */
export function editsOf(table: readonly Service[]): fc.Arbitrary<readonly Service[]> {
  return fc.tuple(...table.map(editOf))
}

function editOf(service: Service): fc.Arbitrary<Service> {
  const edited = service.destinations.map(({ ref }) =>
    destinationConfig(familyOf(ref.address) === serviceFamily(service.ref)).map((config) => ({
      ref,
      config,
    })),
  )
  return fc
    .tuple(serviceConfig(serviceFamily(service.ref)), fc.tuple(...edited))
    .map(([config, list]) => ({ ref: service.ref, config, destinations: list }))
}

/**
 * A table next to this one: a third of its services is gone, a third stays as it is, a third is edited and gains
 * and loses destinations; as many as went are new.
 */
export function neighbourOf(table: readonly Service[]): fc.Arbitrary<readonly Service[]> {
  const gone = fc.constant(undefined)
  const services = table.map((one) => fc.oneof(gone, fc.constant(one), neighbourService(one)))
  return fc
    .tuple(fc.tuple(...services), tableOf(Math.ceil(table.length / 3)))
    .map(([old, fresh]) => {
      const staying = old.filter((one) => one !== undefined)
      return [...staying, ...without(fresh, staying, ({ ref }) => serviceKey(ref))]
    })
}

function neighbourService(service: Service): fc.Arbitrary<Service> {
  return fc
    .tuple(editOf(service), destinations(service.ref), fc.nat(2))
    .map(([{ ref, config, destinations: edited }, fresh, gone]) => {
      const staying = edited.slice(gone)
      const added = without(fresh, staying, (one) => destinationKey(one.ref))
      return { ref, config, destinations: [...staying, ...added] }
    })
}

function without<T>(list: readonly T[], taken: readonly T[], keyOf: (one: T) => string): T[] {
  const keys = new Set(taken.map(keyOf))
  return list.filter((one) => !keys.has(keyOf(one)))
}

export function createOps(table: readonly Service[]): readonly Op[] {
  return table.flatMap(({ ref, config, destinations: list }): Op[] => [
    { kind: 'service.create', service: ref, to: config },
    ...list.map((one): Op => ({
      kind: 'destination.create',
      service: ref,
      destination: one.ref,
      to: one.config,
    })),
  ])
}

export function updateOps(table: readonly Service[]): readonly Op[] {
  return table.flatMap(({ ref, config, destinations: list }): Op[] => [
    { kind: 'service.update', service: ref, from: config, to: config },
    ...list.map((one): Op => {
      const { config: to } = one
      return { kind: 'destination.update', service: ref, destination: one.ref, from: to, to }
    }),
  ])
}

export function removeOps(table: readonly Service[]): readonly Op[] {
  return table.flatMap(({ ref, destinations: list }): Op[] => [
    ...list.map((one): Op => ({ kind: 'destination.remove', service: ref, destination: one.ref })),
    { kind: 'service.remove', service: ref },
  ])
}

/** Sorted, as `Lab.ipvsadm` gives them. Thresholds are not among what ipvsadm saves. */
export function ipvsadmLines(table: readonly Service[]): readonly string[] {
  return table
    .flatMap((service) => [
      serviceLine(service),
      ...service.destinations.map((one) => destinationLine(service.ref, one)),
    ])
    .sort()
}

/** `TCP 10.1.0.1:80 > 10.2.0.1:80 100 50`: upper and lower threshold of each destination. */
export function thresholdLines(table: readonly Service[]): readonly string[] {
  return table.flatMap(({ ref, destinations: list }) => {
    const service =
      'firewallMark' in ref
        ? `FWM ${ref.firewallMark | 0}${ref.family === 'ipv6' ? ' IPv6' : ''}`
        : `${ref.protocol.toUpperCase()} ${endpoint(ref)}`
    return list.map(
      ({ ref: end, config: { upperThreshold, lowerThreshold } }) =>
        `${service} > ${endpoint(end)} ${upperThreshold} ${lowerThreshold}`,
    )
  })
}

function serviceLine({ ref, config }: Service): string {
  const { persistence, flags } = config
  const words = [`-A ${name(ref)} -s ${config.scheduler}`]
  if (persistence !== null) {
    words.push(`-p ${persistence.timeoutSeconds}`)
    const { prefixLength } = persistence
    const family = serviceFamily(ref)
    if (prefixLength < (family === 'ipv4' ? 32 : 128)) {
      words.push(`-M ${mask(family, prefixLength)}`)
    }
    if (persistence.engine !== null) words.push(`--pe ${persistence.engine}`)
  }
  if (flags.includes('one-packet')) words.push('-o')
  const bits = flags.filter((flag) => flag !== 'one-packet')
  if (bits.length > 0)
    words.push(`-b ${bits.map((flag) => flagWord(config.scheduler, flag)).join(',')}`)
  return words.join(' ')
}

function flagWord(scheduler: string, flag: ServiceFlag): string {
  if (scheduler === 'sh' || scheduler === 'mh') return `${scheduler}-${flag}`
  return flag === 'fallback' ? 'flag-1' : 'flag-2'
}

const METHOD_WORDS = { nat: '-m', dr: '-g', local: '-g', tun: '-i' } as const

function destinationLine(service: ServiceRef, { ref, config }: Destination): string {
  const { forwarding } = config
  const { method } = forwarding
  const tunnel = forwarding.method === 'tun' ? tunnelWords(forwarding.tunnel) : ''
  return `-a ${name(service)} -r ${endpoint(ref)} ${METHOD_WORDS[method]} -w ${config.weight}${tunnel}`
}

function tunnelWords(tunnel: Tunnel): string {
  if (tunnel.type === 'ipip') return ' --tun-type ipip'
  if (tunnel.type === 'gre') return ` --tun-type gre --tun-${tunnel.checksum ? '' : 'no'}csum`
  const checksum = tunnel.checksum === 'none' ? 'nocsum' : tunnel.checksum
  return ` --tun-type gue --tun-port ${tunnel.port} --tun-${checksum}`
}
const PROTOCOL_WORDS = { tcp: '-t', udp: '-u', sctp: '--sctp-service' } as const

function name(ref: ServiceRef): string {
  // ipvsadm 1.31 prints marks as signed numbers.
  if ('firewallMark' in ref)
    return `-f ${ref.firewallMark | 0}${ref.family === 'ipv6' ? ' -6' : ''}`
  return `${PROTOCOL_WORDS[ref.protocol]} ${endpoint(ref)}`
}

function endpoint({ address, port: number }: DestinationRef): string {
  return familyOf(address) === 'ipv6' ? `[${address}]:${number}` : `${address}:${number}`
}

function mask(family: Family, prefixLength: number): string {
  if (family === 'ipv6') return `${prefixLength}`
  const bits = (0xffff_ffff << (32 - prefixLength)) >>> 0
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.')
}
