/** What IPVS answers to what: one row per answer, in an order in which each row finds what it needs. */
import {
  ip,
  type DestinationConfig,
  type Op,
  type ServiceConfig,
  type ServiceRef,
  type SyncDaemonState,
  type EndpointRef,
} from '@lvs-fleet/contract'

export const web: EndpointRef = { protocol: 'tcp', address: ip('10.2.0.100'), port: 80 }
export const dns: EndpointRef = { protocol: 'udp', address: ip('fd02::100'), port: 53 }
export const plainService: ServiceConfig = { scheduler: 'rr', flags: [], persistence: null }
export const plainDestination: DestinationConfig = {
  forwarding: { method: 'dr' },
  weight: 1,
  upperThreshold: 0,
  lowerThreshold: 0,
}

export function errnoRows(): readonly {
  readonly name: string
  readonly op: Op
  readonly want: string
}[] {
  const other = { ...web, port: 81 }
  const rip = { address: ip('10.2.0.11'), port: 80 }
  const missing = { address: ip('10.2.0.12'), port: 80 }
  const to = plainService
  const create = (
    destination: { address: typeof rip.address; port: number },
    config: Partial<DestinationConfig> = {},
    service: ServiceRef = web,
  ): Op => {
    return {
      kind: 'destination.create',
      service,
      destination,
      to: { ...plainDestination, ...config },
    }
  }
  const mark = { protocol: 'fwmark', firewallMark: 7, family: 'ipv4' } as const
  const sync: SyncDaemonState = {
    role: 'master',
    place: { holding: ip('10.2.0.10') },
    syncId: 7,
    group: ip('224.0.0.81'),
    port: 8848,
    ttl: 1,
    maxlen: null,
  }
  const tun = { method: 'tun', tunnel: { type: 'ipip' } } as const
  const gre = { method: 'tun', tunnel: { type: 'gre', checksum: true } } as const
  const gue = (number: number) =>
    ({ method: 'tun', tunnel: { type: 'gue', port: number, checksum: 'remcsum' } }) as const
  const update = (destination: typeof rip, config: Partial<DestinationConfig>): Op => {
    const full = { ...plainDestination, ...config }
    return { kind: 'destination.update', service: web, destination, from: full, to: full }
  }
  const at = (address: string) => ({ address: ip(address), port: 80 })
  return [
    { name: 'new', op: { kind: 'service.create', service: web, to }, want: 'ok' },
    { name: 'new, v6', op: { kind: 'service.create', service: dns, to }, want: 'ok' },
    { name: 'new again', op: { kind: 'service.create', service: web, to }, want: 'EEXIST' },
    {
      name: 'set of a missing service',
      op: { kind: 'service.update', service: other, from: to, to },
      want: 'ESRCH',
    },
    {
      name: 'del of a missing service',
      op: { kind: 'service.remove', service: other },
      want: 'ESRCH',
    },
    { name: 'destination of a missing service', op: create(rip, {}, other), want: 'ESRCH' },
    {
      name: 'unknown scheduler',
      op: { kind: 'service.create', service: other, to: { ...to, scheduler: 'nope' } },
      want: 'ENOENT',
    },
    {
      name: 'edit to an unknown scheduler',
      op: { kind: 'service.update', service: web, from: to, to: { ...to, scheduler: 'nope' } },
      want: 'ENOENT',
    },
    {
      name: 'one-packet scheduling of TCP',
      op: { kind: 'service.update', service: web, from: to, to: { ...to, flags: ['one-packet'] } },
      want: 'ok',
    },
    { name: 'destination', op: create(rip), want: 'ok' },
    { name: 'destination again', op: create(rip), want: 'EEXIST' },
    { name: 'set of a missing destination', op: update(missing, {}), want: 'ENOENT' },
    {
      name: 'del of a missing destination',
      op: { kind: 'destination.remove', service: web, destination: missing },
      want: 'ENOENT',
    },
    { name: 'negative weight', op: update(rip, { weight: -1 }), want: 'ERANGE' },
    { name: 'weight 65536', op: update(rip, { weight: 65_536 }), want: 'ok' },
    {
      name: 'lower above upper threshold',
      op: update(rip, { lowerThreshold: 2, upperThreshold: 1 }),
      want: 'ERANGE',
    },
    {
      name: 'a lower threshold without an upper one',
      op: update(rip, { lowerThreshold: 1 }),
      want: 'ERANGE',
    },
    {
      name: 'a port of 0 at an address',
      op: { kind: 'service.create', service: { ...web, port: 0 }, to },
      want: 'ok',
    },
    { name: 'a mark', op: { kind: 'service.create', service: mark, to }, want: 'ok' },
    { name: 'a mark again', op: { kind: 'service.create', service: mark, to }, want: 'EEXIST' },
    {
      name: 'the same mark of the other family',
      op: { kind: 'service.create', service: { ...mark, family: 'ipv6' }, to },
      want: 'ok',
    },
    { name: 'a mark and no port', op: create({ ...rip, port: 0 }, {}, mark), want: 'ok' },
    {
      name: 'a missing mark',
      op: { kind: 'service.remove', service: { ...mark, firewallMark: 8 } },
      want: 'ESRCH',
    },
    {
      name: 'an engine for TCP',
      op: {
        kind: 'service.update',
        service: web,
        from: to,
        to: { ...to, persistence: { timeoutSeconds: 60, prefixLength: 32, engine: 'sip' } },
      },
      want: 'ok',
    },
    {
      name: 'a daemon, none of mixed family',
      op: { kind: 'sync.start', daemon: sync },
      want: 'ok',
    },
    { name: 'a second one', op: { kind: 'sync.start', daemon: sync }, want: 'EEXIST' },
    {
      name: 'mixed family beside it',
      op: create(at('fd02::12'), { forwarding: tun }),
      want: 'EINVAL',
    },
    { name: 'its end', op: { kind: 'sync.stop', daemon: sync }, want: 'ok' },
    { name: 'and again', op: { kind: 'sync.stop', daemon: sync }, want: 'ESRCH' },
    {
      name: 'a daemon on no interface',
      op: { kind: 'sync.start', daemon: { ...sync, place: { device: 'none0' } } },
      want: 'ENODEV',
    },
    {
      name: 'a daemon at an address that nobody holds',
      op: { kind: 'sync.start', daemon: { ...sync, place: { holding: ip('10.99.0.1') } } },
      want: 'ENODEV',
    },
    {
      name: 'a group that is none',
      op: { kind: 'sync.start', daemon: { ...sync, group: ip('10.2.0.11') } },
      want: 'EINVAL',
    },
    {
      name: 'a timeout beyond the limit',
      op: { kind: 'timeout.set', name: 'tcp', from: null, to: 2 ** 31 },
      want: 'EINVAL',
    },
    { name: 'another method in place', op: update(rip, { forwarding: tun }), want: 'ok' },
    {
      name: 'another tunnel type in place',
      op: update(rip, { forwarding: gue(6080) }),
      want: 'ok',
    },
    { name: 'gue without a port', op: update(rip, { forwarding: gue(0) }), want: 'EINVAL' },
    {
      name: 'new, gue without a port',
      op: create(missing, { forwarding: gue(0) }),
      want: 'EINVAL',
    },
    { name: 'and another', op: update(rip, { forwarding: gre }), want: 'ok' },
    { name: 'and back', op: update(rip, { forwarding: { method: 'nat' } }), want: 'ok' },
    { name: 'multicast address', op: create(at('224.0.0.1')), want: 'EINVAL' },
    { name: 'mixed family by dr', op: create(at('fd02::11')), want: 'EINVAL' },
    {
      name: 'mixed family by nat',
      op: create(at('fd02::11'), { forwarding: { method: 'nat' } }),
      want: 'EINVAL',
    },
    { name: 'mixed family by tunnel', op: create(at('fd02::11'), { forwarding: tun }), want: 'ok' },
    { name: 'mixed family by gre', op: create(at('fd02::12'), { forwarding: gre }), want: 'ok' },
    {
      name: 'mixed family by gue',
      op: create(at('fd02::13'), { forwarding: gue(6080) }),
      want: 'ok',
    },
    { name: 'a daemon beside it', op: { kind: 'sync.start', daemon: sync }, want: 'EINVAL' },
    { name: 'local', op: create(at('10.2.0.10'), { forwarding: { method: 'local' } }), want: 'ok' },
    {
      name: 'del',
      op: { kind: 'destination.remove', service: web, destination: rip },
      want: 'ok',
    },
  ]
}
