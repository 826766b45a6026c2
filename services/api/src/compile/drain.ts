/** Drains as a director hears of them: their end as a number, and what becomes of known clients. Pure. */
import type { DrainState } from '@lvs-fleet/contract'
import type { DirectorSpec, DrainSpec } from '../intent/kinds.ts'
import { problem, type Problem } from '../intent/problem.ts'
import type { ServiceRoutes } from './expand-director.ts'

/** Also when its deadline is over: directors have clocks, compile has none. */
export function expandDrain(drain: DrainSpec, waitForTemplates: boolean): DrainState {
  const { name, reason, owner, idleSeconds } = drain
  const deadline = Date.parse(drain.deadline)
  return { name, reason, owner: owner ?? '', deadline, idleSeconds, waitForTemplates }
}

/** Does a drain ask the director to forget the known clients of what it drains? The kernel has one switch for all. */
export function asksToExpireTemplates(carried: readonly ServiceRoutes[]): boolean {
  return carried.some(
    ({ service, routes }) =>
      service.persistence !== null && routes.some(({ drain }) => drain?.expireTemplates === true),
  )
}

/** At weight 0 the templates of persistent clients are as good as gone; see `quiescentTemplates` in director-settings.ts. */
export function templatesExpire(
  { ipvs }: DirectorSpec,
  carried: readonly ServiceRoutes[],
): boolean {
  return ipvs.expireQuiescentTemplate !== false || asksToExpireTemplates(carried)
}

/** A drain may take the last destination that has a weight: meant, perhaps, but worth saying. */
export function drainWarnings(
  director: DirectorSpec,
  carried: readonly ServiceRoutes[],
): Problem[] {
  const warnings: Problem[] = []
  const said = new Set<string>()
  for (const { service, routes } of carried) {
    const drain = routes.find((route) => route.drain !== null && route.member.weight > 0)?.drain
    if (drain === undefined || drain === null || said.has(drain.name)) continue
    if (routes.some(({ choice, weight }) => choice.ok && weight > 0)) continue
    said.add(drain.name)
    const text = `with it virtual service ${service.name} has nobody left on ${director.name}: new clients are refused there`
    warnings.push(problem({ kind: 'drain', name: drain.name }, 'drain-empties', text))
  }
  return warnings
}
