/**
 * Checks of one director: pools with a check and the routes to their members → each check once, and for each route
 * the key of its own. Real servers that several virtual services and pools share are asked once. Pure.
 */
import {
  canonicalJson,
  familyOf,
  fnv1a32,
  invariant,
  pathKey,
  type CheckProbe,
  type CheckState,
  type CheckWay,
  type PathState,
} from '@lvs-fleet/contract'
import { statusRanges, type CheckBytes, type CheckSpec } from '../intent/check.ts'
import type { VirtualServiceSpec } from '../intent/kinds.ts'
import { portRanges } from '../intent/ports.ts'
import { problem, type Problem } from '../intent/problem.ts'
import type { Route } from './destinations.ts'
import type { FleetIndex } from './fleet-index.ts'

type Carried = { readonly service: VirtualServiceSpec; readonly routes: readonly Route[] }

export type CheckBook = {
  /** The check that tells the health of this route's destination; undefined where the pool has none, or no port is known. */
  of(service: VirtualServiceSpec, route: Route): CheckState | undefined
  /** All that were asked for, each once, sorted by key. */
  all(): CheckState[]
}

/**
 * A director asks the same question for every virtual service of a pool: one answer serves them all. Of several VIPs
 * on one path the first is asked.
 */
export function createCheckBook(index: FleetIndex, paths: readonly PathState[]): CheckBook {
  const byPath = new Map(paths.map((path) => [pathKey(path), path]))
  const settingsOf = rememberSettings()
  const byQuestion = new Map<string, CheckState>()
  const byKey = new Map<string, CheckState>()
  return {
    of(service, route) {
      const spec = index.checkOf(service.pool)
      if (spec === null || !route.choice.ok) return undefined
      const port = portOf(spec, service, route)
      if (port === undefined) return undefined
      const path = pathFor(spec, route, port, byPath)
      const { address } = route.choice
      const question = `${address} ${port} ${path?.mark ?? 'direct'} ${settingsOf(spec)}`
      const known = byQuestion.get(question)
      if (known !== undefined) return known
      const way = wayOf(route, port, path)
      const { name: realServer } = route.server
      const check = checkState(spec, { realServer, address, port, way })
      const other = byKey.get(check.key) ?? check
      invariant(canonicalJson(other) === canonicalJson(check), 'two checks have one key')
      byQuestion.set(question, other)
      byKey.set(check.key, other)
      return other
    },
    all: () => [...byKey.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1)),
  }
}

/** A number for all specs of one text, because each route asks. */
function rememberSettings(): (spec: CheckSpec) => number {
  const byText = new Map<string, number>()
  const bySpec = new Map<CheckSpec, number>()
  return (spec) => {
    const known = bySpec.get(spec)
    if (known !== undefined) return known
    const text = canonicalJson(spec)
    const number = byText.get(text) ?? byText.size
    byText.set(text, number)
    bySpec.set(spec, number)
    return number
  }
}

function checkState(
  spec: CheckSpec,
  target: Pick<CheckState, 'realServer' | 'address' | 'port' | 'way'>,
): CheckState {
  const check = {
    probe: probeOf(spec),
    ...target,
    intervalMs: spec.intervalMs,
    downIntervalMs: spec.downIntervalMs ?? spec.intervalMs,
    jitterPercent: spec.jitterPercent,
    timeoutMs: spec.timeoutMs,
    rise: spec.rise,
    fall: spec.fall,
    graceMs: spec.graceMs,
    damping: spec.damping,
  }
  return { key: keyOf(check), ...check }
}

/** Firewall marks of an operator say nothing of ports: then the check must. One problem a pool. */
export function checkProblems(carried: readonly Carried[], index: FleetIndex): Problem[] {
  const pools = new Map<string, string>()
  for (const { service, routes } of carried) {
    const spec = index.checkOf(service.pool)
    if (spec === null || pools.has(service.pool)) continue
    if (routes.every((route) => portOf(spec, service, route) !== undefined)) continue
    pools.set(service.pool, service.name)
  }
  return [...pools].map(([name, service]) =>
    problem(
      { kind: 'pool', name, path: ['check', 'port'] },
      'check-port',
      `is needed: ${service} takes whatever port its firewall mark brings, so nothing says which one to check`,
    ),
  )
}

/** IPVS schedules no echo (a VIP answers pings itself), and a program dials for itself; one that changes the port leads to that port alone. */
function pathFor(
  spec: CheckSpec,
  { vip, port, serverPort, choice }: Route,
  asked: number,
  paths: ReadonlyMap<string, PathState>,
): PathState | undefined {
  const isDirect = spec.through === 'direct' || spec.kind === 'icmp' || spec.kind === 'script'
  if (isDirect || !choice.ok) return undefined
  const { address, forwarding } = choice
  const changed = serverPort === port ? 0 : serverPort
  if (changed !== 0 && asked !== serverPort) return undefined
  return paths.get(pathKey({ family: familyOf(vip), address, port: changed, forwarding }))
}

/** A path that changes the port is asked at the port of the VIP, one that does not at the port of the check. */
function wayOf({ vip, port }: Route, asked: number, path: PathState | undefined): CheckWay {
  if (path === undefined) return { is: 'direct' }
  const { mark, source } = path
  return { is: 'path', mark, vip, port: path.port === 0 ? asked : port, source }
}

/** Of many ports the first stands for all. */
function portOf(spec: CheckSpec, service: VirtualServiceSpec, route: Route): number | undefined {
  if (spec.kind === 'icmp') return 0
  if (spec.port !== null) return spec.port
  if (route.serverPort !== 0) return route.serverPort
  const first = portRanges(service.ports)[0]?.from
  return first ?? (spec.kind === 'script' ? 0 : undefined)
}

function probeOf(spec: CheckSpec): CheckProbe {
  switch (spec.kind) {
    case 'tcp':
    case 'icmp':
      return { kind: spec.kind }
    case 'tls':
      return { kind: 'tls', tls: spec.tls }
    case 'http':
    case 'https': {
      const { method, path, host, statuses, bodyContains, bodyMatches } = spec
      const tls = spec.kind === 'https' ? spec.tls : null
      return {
        kind: 'http',
        method,
        path,
        host,
        statuses: statusRanges(statuses),
        bodyContains,
        bodyMatches,
        tls,
      }
    }
    case 'grpc':
      return { kind: 'grpc', service: spec.service, authority: spec.authority, tls: spec.tls }
    case 'dns':
      return {
        kind: 'dns',
        name: spec.name,
        type: spec.type,
        rcode: spec.rcode,
        answer: spec.answer,
      }
    case 'udp':
      return {
        kind: 'udp',
        send: base64Of(spec.send),
        expect: spec.expect === null ? null : base64Of(spec.expect),
        replyRequired: spec.replyRequired,
      }
    case 'script':
      return { kind: 'script', path: spec.path, args: spec.args }
  }
}

function base64Of(bytes: CheckBytes): string {
  const list =
    'text' in bytes
      ? [...new TextEncoder().encode(bytes.text)]
      : (bytes.hex.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16))
  return btoa(String.fromCharCode(...list))
}

/** 64 bits of what the check is. Two FNVs, since one alone is too short for thousands of checks. */
function keyOf(check: Omit<CheckState, 'key'>): string {
  const text = canonicalJson(check)
  const half = (salt: string) => fnv1a32(`${salt}${text}`).toString(16).padStart(8, '0')
  return `${half('a')}${half('b')}`
}
