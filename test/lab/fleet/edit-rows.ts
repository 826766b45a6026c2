/**
 * Every property of a virtual service and of a destination that can be edited, as rows: what stands, and what is
 * wanted instead. Takes nothing; gives two host states of one director, with a virtual service for each row.
 */
import {
  EMPTY_HOST_STATE,
  ip,
  SCHEDULERS,
  type DestinationConfig,
  type DestinationState,
  type Family,
  type GueChecksum,
  type HostState,
  type Ip,
  type Protocol,
  type Scheduler,
  type ServiceFlag,
  type ServiceState,
  type Tunnel,
} from '@lvs-fleet/contract'

type Service = Pick<ServiceState, 'flags' | 'persistence'> & { readonly scheduler: Scheduler }
type Side = Partial<Service> & Partial<DestinationConfig>

export type EditRow = {
  /** The property, and from what to what. */
  readonly name: string
  readonly object: 'service' | 'destination'
  readonly protocol: Protocol
  readonly family: Family
  readonly port: number
  readonly from: Side
  readonly to: Side
}

export const VIPS = { ipv4: ip('10.1.0.150'), ipv6: ip('fd01::150') } as const
export const SERVER = { name: 'rs-a1', ipv4: ip('10.1.0.11'), ipv6: ip('fd01::11') } as const
export const DIRECTOR = { name: 'dir-a', ipv4: ip('10.1.0.10'), ipv6: ip('fd01::10') } as const
export const GUE_PORTS = [6080, 6081] as const
/** What a real server needs for every row; its one GRE device takes packets without a checksum, later only those with one. */
export const GRE_DEVICE = `edit-gre mode gre local ${SERVER.ipv4} remote ${DIRECTOR.ipv4}`

/**
 * As compile has it for every director of DR and TUN: a client's port that comes back within two minutes is a new connection. Else it
 * goes to the destination that it went to before, and to nobody where that one was removed.
 */
const REUSE = { key: 'net.ipv4.vs.conn_reuse_mode', value: '2', accept: ['2', '3'] }

const FIRST_PORT = 8001
const nat: Side = { forwarding: { method: 'nat' } }
const dr: Side = { forwarding: { method: 'dr' } }
const tun = (tunnel: Tunnel): Side => ({ forwarding: { method: 'tun', tunnel } })
const ipip = tun({ type: 'ipip' })
const gre = (checksum: boolean): Side => tun({ type: 'gre', checksum })
const gue = (port: number = GUE_PORTS[0], checksum: GueChecksum = 'none'): Side =>
  tun({ type: 'gue', port, checksum })

function destinationOf(
  realServer: string,
  address: Ip,
  config: Partial<DestinationConfig> & { readonly port: number },
): DestinationState {
  return {
    forwarding: { method: 'dr' },
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
    ...config,
    realServer,
    address,
  }
}

type Draft = Omit<EditRow, 'protocol' | 'family' | 'port'> &
  Partial<Pick<EditRow, 'protocol' | 'family'>>

export const EDIT_ROWS: readonly EditRow[] = [
  ...schedulers(),
  ...flags(),
  ...persistence(),
  ...weights(),
  ...methods(),
  ...tunnels(),
].map((row, index) => ({ protocol: 'tcp', family: 'ipv4', ...row, port: FIRST_PORT + index }))

/** All but twos, which Debian does not build. */
function schedulers(): Draft[] {
  return SCHEDULERS.filter((name) => name !== 'wrr' && name !== 'twos').map((scheduler) => ({
    name: `scheduler wrr to ${scheduler}`,
    object: 'service',
    from: { scheduler: 'wrr' },
    to: { scheduler },
  }))
}

function flags(): Draft[] {
  const none: readonly ServiceFlag[] = []
  const pairs: readonly (readonly [readonly ServiceFlag[], readonly ServiceFlag[]])[] = [
    [none, ['fallback']],
    [['fallback'], ['port']],
    [['fallback', 'port'], none],
  ]
  const hashing = (['sh', 'mh'] as const).flatMap((scheduler) =>
    pairs.map(([before, after]): Draft => ({
      name: `flags of ${scheduler}: ${before.join(' and ') || 'none'} to ${after.join(' and ') || 'none'}`,
      object: 'service',
      from: { scheduler, flags: [...before] },
      to: { scheduler, flags: [...after] },
    })),
  )
  return [
    ...hashing,
    {
      name: 'one-packet scheduling on',
      object: 'service',
      protocol: 'udp',
      from: {},
      to: { flags: ['one-packet'] },
    },
    {
      name: 'one-packet scheduling off',
      object: 'service',
      protocol: 'udp',
      from: { flags: ['one-packet'] },
      to: {},
    },
    {
      name: 'persistence given up for one-packet scheduling',
      object: 'service',
      protocol: 'udp',
      from: { persistence: { timeoutSeconds: 300, prefixLength: 32, engine: null } },
      to: { flags: ['one-packet'] },
    },
  ]
}

function persistence(): Draft[] {
  const on = (timeoutSeconds: number, prefixLength: number, engine: 'sip' | null = null): Side => ({
    persistence: { timeoutSeconds, prefixLength, engine },
  })
  const rows: readonly (Pick<Draft, 'name' | 'from' | 'to'> &
    Partial<Pick<Draft, 'protocol' | 'family'>>)[] = [
    { name: 'persistence on', from: {}, to: on(300, 32) },
    { name: 'persistence off', from: on(300, 32), to: {} },
    { name: 'persistence timeout', from: on(300, 32), to: on(600, 32) },
    { name: 'persistence netmask of IPv4', from: on(300, 32), to: on(300, 24) },
    { name: 'persistence netmask of IPv6', family: 'ipv6', from: on(300, 128), to: on(300, 64) },
    { name: 'persistence engine on', protocol: 'udp', from: on(300, 32), to: on(300, 32, 'sip') },
    { name: 'persistence engine off', protocol: 'udp', from: on(300, 32, 'sip'), to: on(300, 32) },
  ]
  return rows.map((row) => ({ ...row, object: 'service' }))
}

function weights(): Draft[] {
  const limits = (lowerThreshold: number, upperThreshold: number): Side => ({
    lowerThreshold,
    upperThreshold,
  })
  const rows: readonly Pick<Draft, 'name' | 'from' | 'to'>[] = [
    { name: 'weight', from: { weight: 1 }, to: { weight: 7 } },
    { name: 'weight to 0', from: { weight: 1 }, to: { weight: 0 } },
    { name: 'upper threshold on', from: limits(0, 0), to: limits(0, 10) },
    { name: 'upper threshold off', from: limits(0, 10), to: limits(0, 0) },
    { name: 'upper threshold below what is connected', from: limits(0, 10), to: limits(0, 1) },
    { name: 'lower threshold', from: limits(2, 10), to: limits(5, 10) },
  ]
  return rows.map((row) => ({ ...row, object: 'destination' }))
}

function methods(): Draft[] {
  const rows: readonly (readonly [string, Side, Side])[] = [
    ['nat to dr', nat, dr],
    ['dr to nat', dr, nat],
    ['dr to tun', dr, ipip],
    ['tun to dr', ipip, dr],
    ['nat to tun', nat, ipip],
    ['tun to nat', ipip, nat],
  ]
  return rows.map(([name, from, to]) => ({
    name: `forwarding method ${name}`,
    object: 'destination',
    from,
    to,
  }))
}

function tunnels(): Draft[] {
  const [port, otherPort] = GUE_PORTS
  const rows: readonly (readonly [string, Side, Side])[] = [
    ['type ipip to gre', ipip, gre(true)],
    ['type gre to gue', gre(false), gue()],
    ['type gue to ipip', gue(), ipip],
    ['type ipip to gue', ipip, gue()],
    ['checksum of gre on', gre(false), gre(true)],
    ['port of gue', gue(port), gue(otherPort)],
    ['checksum of gue on', gue(port), gue(port, 'csum')],
    ['checksum of gue offloaded', gue(port, 'csum'), gue(port, 'remcsum')],
    ['checksum of gue off', gue(port, 'remcsum'), gue(port)],
  ]
  return rows.map(([name, from, to]) => ({
    name: `tunnel ${name}`,
    object: 'destination',
    from,
    to,
  }))
}

/** What names a destination: one with another name takes the place of the first, which drains. */
export type ReplaceRow = {
  readonly name: string
  /** Of the virtual service. */
  readonly port: number
  readonly from: DestinationState
  readonly to: DestinationState
}

export const OTHER_SERVER = { name: 'rs-a2', ipv4: ip('10.1.0.12') } as const
/** Where the destinations of the rows below listen. */
export const REPLACED_PORTS = [7001, 7101, 7102]

export const REPLACE_ROWS: readonly ReplaceRow[] = [
  {
    name: 'address of a destination',
    port: 7001,
    from: destinationOf(SERVER.name, SERVER.ipv4, { port: 7001, ...dr }),
    to: destinationOf(OTHER_SERVER.name, OTHER_SERVER.ipv4, { port: 7001, ...dr }),
  },
  {
    name: 'port of a destination',
    port: 7002,
    from: destinationOf(SERVER.name, SERVER.ipv4, { port: 7101, ...nat }),
    to: destinationOf(SERVER.name, SERVER.ipv4, { port: 7102, ...nat }),
  },
]

/** One virtual service with one destination; what leaves may finish what it has begun. */
export function replacedState(port: number, destination: DestinationState): HostState {
  const service: ServiceState = {
    protocol: 'tcp',
    address: VIPS.ipv4,
    port,
    name: 'replaced',
    scheduler: 'wrr',
    flags: [],
    persistence: null,
    drainSeconds: 30,
    destinations: [destination],
  }
  return { ...stateOf([], 'to'), services: [service] }
}

export function stateOf(rows: readonly EditRow[], side: 'from' | 'to'): HostState {
  return {
    ...EMPTY_HOST_STATE,
    addresses: (['ipv4', 'ipv6'] as const).map((family) => ({
      address: VIPS[family],
      place: { holding: DIRECTOR[family] },
    })),
    sysctls: [REUSE],
    services: rows.map((row) => serviceOf(row, row[side])),
  }
}

function serviceOf({ name, protocol, family, port }: EditRow, side: Side): ServiceState {
  const { scheduler = 'wrr', flags: flagsOf = [], persistence: sticky = null, ...config } = side
  return {
    protocol,
    address: VIPS[family],
    port,
    name,
    scheduler,
    flags: flagsOf,
    persistence: sticky,
    drainSeconds: 0,
    destinations: [destinationOf(SERVER.name, SERVER[family], { port, ...config })],
  }
}
