/** FleetIndex: the fleet with its names resolved once, so that compile never searches a list. */
import { invariant } from '@lvs-fleet/contract'
import type { CheckSpec } from '../intent/check.ts'
import type { Fleet } from '../intent/fleet.ts'
import type {
  DirectorSpec,
  DrainSpec,
  OverrideSpec,
  PoolSpec,
  RealServerSpec,
  SiteSpec,
  VirtualServiceSpec,
} from '../intent/kinds.ts'
import { DEFAULT_WEIGHT, type Member } from '../intent/pool.ts'
import type { PoolPolicy } from '../intent/policy.ts'
import { pathMtu, type PathMtu } from './path-mtu.ts'

/** One member of a pool with its real server, wherever it came from. */
export type ResolvedMember = {
  readonly member: Member
  readonly server: RealServerSpec
  /** Where the pool says so: `members` and an index, the selector, or the policy's sorry server. */
  readonly path: readonly (string | number)[]
  readonly isSorry: boolean
}

export type FleetIndex = {
  readonly sites: ReadonlyMap<string, SiteSpec>
  readonly directors: readonly DirectorSpec[]
  readonly realServers: readonly RealServerSpec[]
  readonly membersOf: (pool: string) => readonly ResolvedMember[]
  /** The health check of a pool; null = none. */
  readonly checkOf: (pool: string) => CheckSpec | null
  readonly policyOf: (pool: string) => PoolPolicy | null
  /** Overrides that concern a real server in a pool, the one that counts first. */
  readonly overridesOf: (realServer: string, pool: string) => readonly OverrideSpec[]
  /** That it is down by the quorum rule of the pool; null = it is not. */
  readonly quorumOf: (realServer: string, pool: string) => OverrideSpec | null
  /** The drain that counts for a real server in a pool on a director: of several the one that ends first. */
  readonly drainOf: (director: string, server: RealServerSpec, pool: string) => DrainSpec | null
  /** Virtual services that each director carries, in order of their names. */
  readonly carriedBy: ReadonlyMap<string, readonly VirtualServiceSpec[]>
  /** Bytes of the largest packet from one site to another. */
  readonly pathMtu: (from: string, to: string) => number
  /** The same with who says so. */
  readonly explainPathMtu: (from: string, to: string) => PathMtu
}

/** Takes a fleet that `validateFleet` found nothing wrong with. */
export function indexFleet(fleet: Fleet): FleetIndex {
  const sites = new Map(fleet.sites.map((site) => [site.name, site]))
  const servers = new Map(fleet.realServers.map((server) => [server.name, server]))
  const members = new Map(fleet.pools.map((pool) => [pool.name, resolveMembers(pool, servers)]))
  const checks = new Map(fleet.pools.map((pool) => [pool.name, pool.check]))
  const policies = new Map(fleet.pools.map((pool) => [pool.name, pool.policy]))
  const byOperators = fleet.overrides.filter(({ kind }) => kind !== 'quorum')
  const overrides = Map.groupBy(byOperators.toSorted(byPrecedence), (one) => one.realServer)
  const verdicts = new Map(
    fleet.overrides
      .filter(({ kind, pool }) => kind === 'quorum' && pool !== null)
      .map((one) => [`${one.pool} ${one.realServer}`, one]),
  )
  const drains = fleet.drains.toSorted(byDeadline)
  const path = rememberPaths(sites)
  return {
    sites,
    directors: fleet.directors,
    realServers: fleet.realServers,
    membersOf: (pool) => members.get(pool) ?? [],
    checkOf: (pool) => checks.get(pool) ?? null,
    policyOf: (pool) => policies.get(pool) ?? null,
    overridesOf: (server, pool) =>
      (overrides.get(server) ?? NO_OVERRIDES).filter(
        (one) => one.pool === null || one.pool === pool,
      ),
    quorumOf: (server, pool) => verdicts.get(`${pool} ${server}`) ?? null,
    drainOf: (director, server, pool) =>
      drains.find((drain) => concerns(drain, { director, server, pool })) ?? null,
    carriedBy: new Map(
      fleet.directors.map((director) => [
        director.name,
        fleet.virtualServices.filter((service) => carries(director, service)),
      ]),
    ),
    pathMtu: (from, to) => path(from, to).bytes,
    explainPathMtu: path,
  }
}

const NO_OVERRIDES: readonly OverrideSpec[] = []
const PRECEDENCE: readonly OverrideSpec['kind'][] = ['down', 'weight', 'up']

/** What is said of one pool before what is said of all, then whatever takes more away. */
function byPrecedence(a: OverrideSpec, b: OverrideSpec): number {
  return (
    Number(a.pool === null) - Number(b.pool === null) ||
    PRECEDENCE.indexOf(a.kind) - PRECEDENCE.indexOf(b.kind) ||
    (a.name < b.name ? -1 : 1)
  )
}

function byDeadline(a: DrainSpec, b: DrainSpec): number {
  return Date.parse(a.deadline) - Date.parse(b.deadline) || (a.name < b.name ? -1 : 1)
}

function concerns(
  drain: DrainSpec,
  of: { readonly director: string; readonly server: RealServerSpec; readonly pool: string },
): boolean {
  if (drain.director !== null) return drain.director === of.director
  if (drain.site !== null) return drain.site === of.server.site
  return drain.realServer === of.server.name && (drain.pool === null || drain.pool === of.pool)
}

function carries(director: DirectorSpec, service: VirtualServiceSpec): boolean {
  if (director.state === 'disabled') return false
  const { sites, directors, labels } = service.carriedBy
  return (
    sites.includes(director.site) ||
    directors.includes(director.name) ||
    (labels !== undefined &&
      Object.entries(labels).every(([key, value]) => director.labels[key] === value))
  )
}

function resolveMembers(
  pool: PoolSpec,
  servers: ReadonlyMap<string, RealServerSpec>,
): ResolvedMember[] {
  const resolved: ResolvedMember[] = []
  // Whoever says sorry is no member, even where the selector matches it.
  const listed = new Set<string>()
  const sorry = pool.policy?.sorryServer ?? null
  if (sorry !== null) listed.add(sorry.realServer)
  for (const [index, member] of pool.members.entries()) {
    const server = servers.get(member.realServer)
    invariant(server !== undefined, `pool ${pool.name} lists a real server that does not exist`)
    listed.add(server.name)
    resolved.push({ member, server, path: ['members', index], isSorry: false })
  }
  if (pool.selector !== null) {
    const wanted = Object.entries(pool.selector.matchLabels)
    for (const server of servers.values()) {
      if (listed.has(server.name)) continue
      if (!wanted.every(([key, value]) => server.labels[key] === value)) continue
      resolved.push({
        member: unlisted(server.name, pool.selector.weight),
        server,
        path: ['selector'],
        isSorry: false,
      })
    }
  }
  const sorryServer = sorry === null ? undefined : servers.get(sorry.realServer)
  if (sorry !== null && sorryServer !== undefined) {
    resolved.push({
      member: { ...unlisted(sorryServer.name, DEFAULT_WEIGHT), port: sorry.port },
      server: sorryServer,
      path: ['policy', 'sorryServer'],
      isSorry: true,
    })
  }
  return resolved.filter(({ server }) => server.state !== 'disabled')
}

function unlisted(realServer: string, weight: number): Member {
  return {
    realServer,
    weight,
    port: null,
    forwarding: null,
    tunnel: null,
    upperThreshold: 0,
    lowerThreshold: 0,
    level: null,
  }
}

/** Asked once for each route; there are few pairs of sites. */
function rememberPaths(sites: ReadonlyMap<string, SiteSpec>): FleetIndex['explainPathMtu'] {
  const known = new Map<string, PathMtu>()
  return (from, to) => {
    const key = `${from} ${to}`
    const path = known.get(key) ?? pathMtu(sites, from, to)
    known.set(key, path)
    return path
  }
}
