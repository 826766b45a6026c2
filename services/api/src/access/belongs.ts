/**
 * What belongs to a site, for operators who are bound to some. Takes two fleets and what changed between them; gives
 * the changes that reach beyond a scope. An object belongs to every site whose hosts it makes do something, before the change
 * and after it, so that nothing is moved out of another's hands, or into them. Pure.
 */
import type { Fleet } from '../intent/fleet.ts'
import type {
  DrainSpec,
  Kind,
  OverrideSpec,
  PoolSpec,
  RealServerSpec,
  Spec,
  VirtualServiceSpec,
} from '../intent/kinds.ts'
import type { Scope } from './grant.ts'

export type ScopedChange = {
  readonly kind: Kind
  readonly name: string
}

export type Trespass = { readonly kind: Kind; readonly name: string; readonly why: string }

export function trespasses(
  scope: Scope,
  before: Fleet,
  after: Fleet,
  changes: readonly ScopedChange[],
): Trespass[] {
  const found: Trespass[] = []
  const old = new FleetView(before)
  const next = new FleetView(after)
  for (const { kind, name } of changes) {
    const why =
      refusal(scope, old, kind, name) ??
      refusal(scope, next, kind, name) ??
      (kind === 'real-server' ? selectionRefusal(scope, old, next, name) : undefined)
    if (why !== undefined) found.push({ kind, name, why })
  }
  return found
}

/** Sites that an object belongs to; empty when it reaches no host yet. */
export function sitesOf(fleet: Fleet, kind: Kind, name: string): string[] {
  const view = new FleetView(fleet)
  const spec = view.find(kind, name)
  return spec === undefined ? [] : [...view.sitesOf(kind, spec)].toSorted()
}

function refusal(scope: Scope, view: FleetView, kind: Kind, name: string): string | undefined {
  const spec = view.find(kind, name)
  if (spec === undefined) return undefined
  const { sites, labels } = scope
  if (sites !== null) {
    const foreign = [...view.sitesOf(kind, spec)].filter((site) => !sites.includes(site))
    if (foreign.length > 0) return `belongs to site ${foreign.toSorted().join(', ')}`
  }
  const own = view.labelsOf(spec)
  const missing = Object.entries(labels ?? {}).find(([key, value]) => own[key] !== value)
  return missing === undefined ? undefined : `lacks the label ${missing.join('=')}`
}

/** Labels decide which pools select a real server: who changes them changes those pools. */
function selectionRefusal(
  scope: Scope,
  old: FleetView,
  next: FleetView,
  name: string,
): string | undefined {
  const selectedBy = (view: FleetView) =>
    new Set(view.poolsSelecting(name).map((pool) => pool.name))
  const [was, is] = [selectedBy(old), selectedBy(next)]
  for (const pool of was.symmetricDifference(is)) {
    const why = refusal(scope, old, 'pool', pool) ?? refusal(scope, next, 'pool', pool)
    if (why !== undefined) return `would be selected, or no longer, by pool ${pool}, which ${why}`
  }
  return undefined
}

class FleetView {
  readonly #fleet: Fleet
  readonly #servers: Map<string, RealServerSpec>
  readonly #pools: Map<string, PoolSpec>
  readonly #directorSites: Map<string, string>

  constructor(fleet: Fleet) {
    this.#fleet = fleet
    this.#servers = new Map(fleet.realServers.map((one) => [one.name, one]))
    this.#pools = new Map(fleet.pools.map((one) => [one.name, one]))
    this.#directorSites = new Map(fleet.directors.map((one) => [one.name, one.site]))
  }

  find(kind: Kind, name: string): Spec | undefined {
    const { sites, directors, virtualServices, overrides, drains } = this.#fleet
    if (kind === 'real-server') return this.#servers.get(name)
    if (kind === 'pool') return this.#pools.get(name)
    const lists = {
      site: sites,
      director: directors,
      'virtual-service': virtualServices,
      override: overrides,
      drain: drains,
    }
    return lists[kind].find((spec) => spec.name === name)
  }

  sitesOf(kind: Kind, spec: Spec): Set<string> {
    if (kind === 'site') return new Set([spec.name])
    if ('deadline' in spec) return this.#ofDrain(spec)
    if ('site' in spec) return new Set([spec.site])
    if ('carriedBy' in spec) return this.#ofService(spec)
    if ('members' in spec) return this.#ofPool(spec)
    if ('realServer' in spec) return this.#ofOverride(spec)
    return new Set()
  }

  /** Overrides and drains have no labels of their own: those of what they concern count. */
  labelsOf(spec: Spec): Readonly<Record<string, string>> {
    if ('labels' in spec) return spec.labels
    if ('deadline' in spec) return this.#drained(spec)?.labels ?? {}
    return this.#servers.get(spec.realServer)?.labels ?? {}
  }

  poolsSelecting(realServer: string): PoolSpec[] {
    const server = this.#servers.get(realServer)
    if (server === undefined) return []
    return this.#fleet.pools.filter((pool) => isSelected(pool, server))
  }

  /** Its carriers, and where its pool answers: their hosts take VIP and tunnels. */
  #ofService(service: VirtualServiceSpec): Set<string> {
    const pool = this.#pools.get(service.pool)
    return new Set([...this.#carriers(service), ...(pool === undefined ? [] : this.#members(pool))])
  }

  /** Its members, and the carriers of what it answers: their directors take its weights. */
  #ofPool(pool: PoolSpec): Set<string> {
    const services = this.#fleet.virtualServices.filter((one) => one.pool === pool.name)
    return new Set([...this.#members(pool), ...services.flatMap((one) => this.#carriers(one))])
  }

  #ofOverride(override: OverrideSpec): Set<string> {
    const site = this.#servers.get(override.realServer)?.site
    return new Set(site === undefined ? [] : [site])
  }

  /** Of what drains: that it concerns directors elsewhere is in the nature of a real server. */
  #ofDrain(drain: DrainSpec): Set<string> {
    const target = this.#drained(drain)
    if (target === undefined) return new Set()
    return new Set(['site' in target ? target.site : target.name])
  }

  #drained({ site, director, realServer }: DrainSpec) {
    const { sites, directors } = this.#fleet
    if (site !== null) return sites.find((one) => one.name === site)
    if (director !== null) return directors.find((one) => one.name === director)
    return this.#servers.get(realServer ?? '')
  }

  #carriers({ carriedBy }: VirtualServiceSpec): string[] {
    return [
      ...carriedBy.sites,
      ...carriedBy.directors.flatMap((name) => this.#directorSites.get(name) ?? []),
    ]
  }

  #members(pool: PoolSpec): string[] {
    const names = new Set(pool.members.map(({ realServer }) => realServer))
    if (pool.policy?.sorryServer != null) names.add(pool.policy.sorryServer.realServer)
    return this.#fleet.realServers
      .filter((server) => names.has(server.name) || isSelected(pool, server))
      .map(({ site }) => site)
  }
}

function isSelected(pool: PoolSpec, server: RealServerSpec): boolean {
  const wanted = Object.entries(pool.selector?.matchLabels ?? {})
  return wanted.length > 0 && wanted.every(([key, value]) => server.labels[key] === value)
}
