/**
 * Rules between objects that no single schema can see. Takes a fleet; gives every problem, none twice.
 * What one director's kernel would refuse is decided later, in compile, where the director is known.
 */
import { cidrContains, familyOf, formatCidr, type Ip } from '@lvs-fleet/contract'
import { drainProblems } from './drain-rules.ts'
import type { Fleet } from './fleet.ts'
import type { PoolSpec, SiteSpec, VirtualServiceSpec } from './kinds.ts'
import { overrideProblems } from './override-rules.ts'
import { policyProblems, quorumProblems } from './policy-rules.ts'
import { problem, type Problem } from './problem.ts'
import { serviceRules } from './service-rules.ts'
import { syncProblems } from './sync-rules.ts'

export function validateFleet(fleet: Fleet): Problem[] {
  const names = {
    sites: new Set(fleet.sites.map((site) => site.name)),
    directors: new Set(fleet.directors.map((director) => director.name)),
    realServers: new Set(fleet.realServers.map((server) => server.name)),
    pools: new Set(fleet.pools.map((pool) => pool.name)),
  }
  return [
    ...fleet.sites.flatMap((site) => siteProblems(site, names.sites)),
    ...networkOverlaps(fleet.sites),
    ...hostProblems(fleet, names),
    ...fleet.pools.flatMap((pool) => [
      ...poolProblems(pool, names.realServers),
      ...policyProblems(pool, names),
      ...quorumProblems(pool),
    ]),
    ...fleet.virtualServices.flatMap((service) => serviceProblems(service, names)),
    ...addressProblems(fleet),
    ...syncProblems(fleet),
    ...overrideProblems(fleet, names),
    ...drainProblems(fleet, names),
  ]
}

type Names = Readonly<Record<'sites' | 'directors' | 'realServers' | 'pools', ReadonlySet<string>>>

function siteProblems(site: SiteSpec, sites: ReadonlySet<string>): Problem[] {
  const problems: Problem[] = []
  for (const [i, path] of site.paths.entries()) {
    const at = { kind: 'site', name: site.name, path: ['paths', i, 'to'] } as const
    if (path.to === site.name) {
      problems.push(problem(at, 'duplicate', 'is the site itself: paths lead to other sites'))
    } else if (!sites.has(path.to)) problems.push(unknownName(at, 'site', path.to))
  }
  for (const i of duplicateIndexes(site.paths.map((path) => path.to))) {
    const at = { kind: 'site', name: site.name, path: ['paths', i, 'to'] } as const
    problems.push(problem(at, 'duplicate', 'names a site that has a path already'))
  }
  for (const i of duplicateIndexes(site.networks.map((network) => network.name))) {
    const at = { kind: 'site', name: site.name, path: ['networks', i, 'name'] } as const
    problems.push(problem(at, 'duplicate', 'is the name of another network of this site'))
  }
  return problems
}

/** Two networks that share addresses: on-link reachability would be a guess. */
function networkOverlaps(sites: readonly SiteSpec[]): Problem[] {
  const problems: Problem[] = []
  for (const site of sites) {
    const all = site.networks.flatMap((network, i) =>
      network.cidrs.map((cidr, j) => ({ cidr, i, j, network: network.name })),
    )
    for (const [n, a] of all.entries()) {
      const b = all
        .slice(0, n)
        .find(({ cidr }) => cidrContains(cidr, a.cidr.base) || cidrContains(a.cidr, cidr.base))
      if (b === undefined) continue
      const at = { kind: 'site', name: site.name, path: ['networks', a.i, 'cidrs', a.j] } as const
      const text = `overlaps ${formatCidr(b.cidr)} of network ${b.network}: an address may be in one network of a site`
      problems.push(problem(at, 'network-overlap', text))
    }
  }
  return problems
}

function hostProblems(fleet: Fleet, names: Names): Problem[] {
  const problems: Problem[] = []
  const keyOwners = new Map<string, string>()
  for (const [kind, hosts] of [
    ['director', fleet.directors],
    ['real-server', fleet.realServers],
  ] as const) {
    for (const { name, publicKey } of hosts) {
      if (publicKey === null) continue
      const owner = keyOwners.get(publicKey.x)
      keyOwners.set(publicKey.x, `${kind} ${name}`)
      if (owner === undefined) continue
      const at = { kind, name, path: ['publicKey'] } as const
      problems.push(problem(at, 'duplicate', `is the key of ${owner}: one key is one host`))
    }
  }
  for (const director of fleet.directors) {
    const at = { kind: 'director', name: director.name, path: ['site'] } as const
    if (!names.sites.has(director.site)) problems.push(unknownName(at, 'site', director.site))
  }
  for (const server of fleet.realServers) {
    const at = { kind: 'real-server', name: server.name } as const
    if (!names.sites.has(server.site)) {
      problems.push(unknownName({ ...at, path: ['site'] }, 'site', server.site))
    }
    if (server.gateway !== null && !names.directors.has(server.gateway)) {
      problems.push(unknownName({ ...at, path: ['gateway'] }, 'director', server.gateway))
    }
  }
  return problems
}

function poolProblems(pool: PoolSpec, realServers: ReadonlySet<string>): Problem[] {
  const problems: Problem[] = []
  const path = (i: number, field: string) =>
    ({ kind: 'pool', name: pool.name, path: ['members', i, field] }) as const
  for (const [i, member] of pool.members.entries()) {
    if (!realServers.has(member.realServer)) {
      problems.push(unknownName(path(i, 'realServer'), 'real server', member.realServer))
    }
    if (member.tunnel !== null && member.tunnel !== 'auto') {
      problems.push(...tunnelProblems(path(i, 'tunnel'), member.tunnel, member.forwarding))
    }
    if (member.lowerThreshold > member.upperThreshold) {
      const text = `is above upperThreshold ${member.upperThreshold}, also where that is 0 for no limit: the kernel answers ERANGE`
      problems.push(problem(path(i, 'lowerThreshold'), 'threshold-order', text))
    }
  }
  const keys = pool.members.map((member) => `${member.realServer} ${member.port ?? ''}`)
  for (const i of duplicateIndexes(keys)) {
    problems.push(problem(path(i, 'realServer'), 'duplicate', 'is listed twice with one port'))
  }
  return problems
}

function serviceProblems(service: VirtualServiceSpec, names: Names): Problem[] {
  const problems: Problem[] = []
  const at = { kind: 'virtual-service', name: service.name } as const
  if (!names.pools.has(service.pool)) {
    problems.push(unknownName({ ...at, path: ['pool'] }, 'pool', service.pool))
  }
  for (const [i, name] of service.carriedBy.sites.entries()) {
    const here = { ...at, path: ['carriedBy', 'sites', i] }
    if (!names.sites.has(name)) problems.push(unknownName(here, 'site', name))
  }
  for (const [i, name] of service.carriedBy.directors.entries()) {
    const here = { ...at, path: ['carriedBy', 'directors', i] }
    if (!names.directors.has(name)) problems.push(unknownName(here, 'director', name))
  }
  if (service.tunnel !== 'auto') {
    const here = { ...at, path: ['tunnel'] }
    problems.push(...tunnelProblems(here, service.tunnel, service.forwarding))
  }
  return [...problems, ...serviceRules(service)]
}

/** A tunnel asked for where the method that is asked for has none: one of the two is a mistake. */
function tunnelProblems(
  at: Parameters<typeof problem>[0],
  tunnel: string,
  forwarding: string | null,
): Problem[] {
  if (forwarding !== 'dr' && forwarding !== 'nat') return []
  const text = `asks for ${tunnel}, but forwarding is ${forwarding}, which has no tunnel: set forwarding to tun or auto, or tunnel to auto`
  return [problem(at, 'tunnel-conflict', text)]
}

/** One address, one owner: two hosts cannot hold it, and no VIP is a host's own address. */
function addressProblems(fleet: Fleet): Problem[] {
  const problems: Problem[] = []
  const owners = new Map<Ip, string>()
  for (const [kind, hosts] of [
    ['director', fleet.directors],
    ['real-server', fleet.realServers],
  ] as const) {
    const seen = new Map<Ip, string>()
    for (const host of hosts) {
      for (const [i, address] of host.addresses.entries()) {
        const other = seen.get(address)
        if (other !== undefined) {
          const at = { kind, name: host.name, path: ['addresses', i] } as const
          problems.push(problem(at, 'duplicate', `${address} belongs to ${kind} ${other} already`))
        }
        seen.set(address, host.name)
        owners.set(address, `${kind} ${host.name}`)
      }
    }
  }
  for (const service of fleet.virtualServices) {
    for (const [i, vip] of service.vips.entries()) {
      const owner = owners.get(vip)
      if (owner === undefined) continue
      const at = { kind: 'virtual-service', name: service.name, path: ['vips', i] } as const
      const text = `${vip} is an address of ${owner}: a VIP needs an ${familyOf(vip) === 'ipv4' ? 'IPv4' : 'IPv6'} address of its own`
      problems.push(problem(at, 'vip-is-host-address', text))
    }
  }
  return problems
}

function unknownName(at: Parameters<typeof problem>[0], what: string, name: string): Problem {
  return problem(at, 'unknown-name', `there is no ${what} named ${name}`)
}

/** Indexes of items that occurred before. */
function duplicateIndexes(items: readonly string[]): number[] {
  const seen = new Set<string>()
  const indexes: number[] = []
  for (const [i, item] of items.entries()) {
    if (seen.has(item)) indexes.push(i)
    seen.add(item)
  }
  return indexes
}
