/**
 * Health of a real server as the whole fleet sees it: what each director says → one verdict. Pure. One director cannot
 * tell a dead server from a dead way to it; several can: down for all is the server, down from one site is the way from there.
 */
import {
  canonicalJson,
  type CheckState,
  type HealthReport,
  type HealthVerdict,
} from '@lvs-fleet/contract'

/** What one director should be checking, and what it said last; null where it said nothing, or too long ago. */
export type Observer = {
  readonly director: string
  readonly site: string
  readonly checks: readonly CheckState[]
  readonly report: HealthReport | null
}

export type View = {
  readonly director: string
  readonly site: string
  /** VIP through which it asks; null = the real server's own address. */
  readonly through: string | null
  readonly state: HealthVerdict
  readonly class: string | null
  readonly since: string | null
  readonly detail: string
  readonly latencyMs: number | null
}

/** `partial`: it answers some directors and not others. */
export const FLEET_VERDICTS = ['down', 'partial', 'held', 'unknown', 'up'] as const
export type FleetVerdict = (typeof FLEET_VERDICTS)[number]

export type ServerHealth = {
  /** Of one of its checks: tells entries of one real server apart. */
  readonly key: string
  readonly realServer: string
  readonly address: string
  /** 0 where the kind knows no port. */
  readonly port: number
  /** `http /health`, `tcp`, `dns shop.example`. */
  readonly asks: string
  readonly verdict: FleetVerdict
  readonly message: string
  readonly views: readonly View[]
}

/** One entry for each real server and what is asked of it, worst first, then by name. */
export function mergeHealth(observers: readonly Observer[]): ServerHealth[] {
  const groups = new Map<string, { readonly of: CheckState; readonly views: View[] }>()
  for (const observer of observers) {
    const said = new Map(observer.report?.checks.map((health) => [health.key, health]))
    for (const check of observer.checks) {
      // Directors may ask the same by different ways.
      const name = canonicalJson({ ...check, key: undefined, way: undefined })
      const group = groups.get(name) ?? { of: check, views: [] }
      groups.set(name, group)
      group.views.push(viewOf(observer, check, said.get(check.key)))
    }
  }
  return [...groups.values()]
    .map(entryOf)
    .toSorted((a, b) => (healthKey(a) < healthKey(b) ? -1 : 1))
}

/** Sorts by verdict, then by name; the same for one entry as long as its verdict is. */
export function healthKey({ verdict, realServer, port, key }: ServerHealth): string {
  return `${FLEET_VERDICTS.indexOf(verdict)}/${realServer}/${String(port).padStart(5, '0')}/${key}`
}

function entryOf({
  of,
  views,
}: {
  readonly of: CheckState
  readonly views: readonly View[]
}): ServerHealth {
  const { key, realServer, address, port } = of
  return { key, realServer, address, port, asks: asksOf(of), ...verdictOf(views), views }
}

function asksOf({ probe }: CheckState): string {
  if (probe.kind === 'http') return `${probe.tls === null ? 'http' : 'https'} ${probe.path}`
  if (probe.kind === 'dns') return `dns ${probe.name}`
  if (probe.kind === 'script') return `script ${probe.path}`
  return probe.kind
}

function viewOf(
  { director, site, report }: Observer,
  check: CheckState,
  health: HealthReport['checks'][number] | undefined,
): View {
  const base = { director, site, through: check.way.is === 'path' ? check.way.vip : null }
  if (health !== undefined) {
    const { state, class: broken, since, detail, latencyMs } = health
    return { ...base, state, class: broken, since, detail, latencyMs }
  }
  const isUp = report !== null && listsAllTroubles(report)
  const detail = isUp ? 'among those that are up' : 'not reported'
  const state = isUp ? 'up' : 'unknown'
  return { ...base, state, class: null, since: null, detail, latencyMs: null }
}

/** A report lists what is not up first: where that is all there, what is missing is up. */
export function listsAllTroubles({ counts, checks }: HealthReport): boolean {
  const listed = checks.filter(({ state }) => state !== 'up').length
  return listed === counts.down + counts.held + counts.unknown && listed < checks.length
}

function verdictOf(views: readonly View[]): { verdict: FleetVerdict; message: string } {
  const down = views.filter(({ state }) => state === 'down')
  const up = views.filter(({ state }) => state === 'up' || state === 'held')
  const say = (verdict: FleetVerdict, message: string) => ({ verdict, message })
  if (down.length > 0 && up.length > 0) return say('partial', partialMessage(down, up))
  if (down.length > 0) return say('down', downMessage(down))
  if (up.some(({ state }) => state === 'held')) {
    return say('held', `answers, after going up and down too often: ${up[0]?.detail ?? ''}`)
  }
  if (up.length > 0) return say('up', `answers ${directors(up)}`)
  return say('unknown', views[0]?.detail ?? 'nobody looks')
}

/** Somebody reaches it, so that it lives: what is broken is the way of the others. */
function partialMessage(down: readonly View[], up: readonly View[]): string {
  const reached = new Set(up.map(({ site }) => site))
  const cut = namesOf(down.map(({ site }) => site)).filter((site) => !reached.has(site))
  const who = namesOf(down.map(whoOf)).join(', ')
  const where =
    cut.length === 0
      ? `the way from ${who} is broken`
      : `the way from site ${cut.join(', ')} is broken (${who})`
  return `${where}: it answers ${namesOf(up.map(whoOf)).join(', ')}`
}

function downMessage(down: readonly View[]): string {
  const detail = down[0]?.detail ?? ''
  if (down.every((view) => view.class === 'path-down')) {
    return `the way to it is broken for ${directors(down)}, it answers at its own address: ${detail}`
  }
  const sites = namesOf(down.map(({ site }) => site))
  if (sites.length === 1 && down.every((view) => view.class === 'unreachable')) {
    return `silent, for site ${sites[0]} alone looks: the server, or the way from there: ${detail}`
  }
  return `down for ${directors(down)}: ${detail}`
}

function whoOf({ director, through }: View): string {
  return through === null ? director : `${director} through ${through}`
}

function namesOf(names: readonly string[]): string[] {
  return [...new Set(names)].toSorted()
}

function directors(views: readonly View[]): string {
  const { size } = new Set(views.map(({ director }) => director))
  return size === 1 ? '1 director' : `${size} directors`
}
