/**
 * Observes, plans and applies some virtual services, in chunks that keep memory small. Ownership and
 * drain deadlines are on disk before the kernel hears of them; what could not be made is not owned after.
 */
import { destinationKey, serviceKey, serviceRef, type Op } from '@lvs-fleet/contract'
import { applyGroups, SKIPPED, type Group } from '../apply/apply.ts'
import type { ObservedDestination, ObservedService, Outcome } from '../kernel/kernel.ts'
import {
  planService,
  type ServiceContext,
  type ServicePlan,
  type StandingService,
} from '../plan/plan-service.ts'
import { failedOpsOf } from './troubles.ts'
import { addRound, noRound, saveLedger, type Cause, type RoundResult, type World } from './world.ts'

/** Services per kernel.apply call: about 22,000 ops at ten destinations each. */
const APPLY_CHUNK = 2_000
/** Services whose destinations are held in memory at once. */
const OBSERVE_CHUNK = 500

const NO_DRAINS: ReadonlyMap<string, number> = new Map()
const NO_STATS = { connections: 0n, inPackets: 0n, outPackets: 0n, inBytes: 0n, outBytes: 0n }

type Planned = {
  readonly key: string
  readonly plan: ServicePlan
  readonly wasOwned: boolean
  readonly drainsBefore: ReadonlyMap<string, number>
}

/** `onDone` hears each chunk whose services are as planned, or failed and recorded. */
export async function reconcileServices(
  world: World,
  keys: readonly string[],
  cause: Cause,
  onDone: (keys: readonly string[]) => void = () => {},
): Promise<RoundResult> {
  const total = noRound()
  for (let from = 0; from < keys.length; from += APPLY_CHUNK) {
    const chunk = keys.slice(from, from + APPLY_CHUNK)
    addRound(total, await carryOut(world, await planChunk(world, chunk), cause))
    onDone(chunk)
  }
  return total
}

/** Plans of the services that need any work; changes nothing. */
export async function planChunk(world: World, keys: readonly string[]): Promise<Planned[]> {
  const planned: Planned[] = []
  for (let from = 0; from < keys.length; from += OBSERVE_CHUNK) {
    const part = keys.slice(from, from + OBSERVE_CHUNK)
    const observed = await observeServices(world, part)
    const nowMs = world.clock.monotonicMs()
    for (const key of part) {
      const item = planOne(world, key, observed.get(key), nowMs)
      if (item !== undefined) planned.push(item)
    }
  }
  return planned
}

/** Destinations of those that stand and may be touched; the others need no look. */
async function observeServices(
  world: World,
  keys: readonly string[],
): Promise<Map<string, StandingService>> {
  const refs: ObservedService[] = []
  const result = new Map<string, StandingService>()
  for (const key of keys) {
    const service = world.standing.get(key)
    if (service === undefined) continue
    const concerns =
      world.book.ledger.services.has(key) ||
      (world.inForce.host.adopt && world.inForce.services.has(key))
    if (concerns) refs.push(service)
    else result.set(key, { ...service, destinations: [] })
  }
  if (refs.length === 0) return result
  const lists = await world.kernel.listDestinations(refs)
  for (const [i, service] of refs.entries()) {
    const key = serviceKey(service)
    const destinations = lists[i]
    if (destinations === undefined) world.standing.delete(key)
    else result.set(key, { ...service, destinations })
  }
  return result
}

function planOne(
  world: World,
  key: string,
  observed: StandingService | undefined,
  nowMs: number,
): Planned | undefined {
  const { ledger } = world.book
  const desired = world.inForce.services.get(key)
  const ownedDrainSeconds = ledger.services.get(key)
  const wasOwned = ownedDrainSeconds !== undefined
  const drainsBefore = ledger.drains.get(key) ?? NO_DRAINS
  const context: ServiceContext = {
    owned: wasOwned,
    adopt: world.inForce.host.adopt,
    nowMs,
    drainSeconds: ownedDrainSeconds ?? desired?.drainSeconds ?? 0,
    drains: drainsBefore,
  }
  const plan = planService(desired, observed, context)
  for (const end of drainsBefore.keys()) world.drainConnections.delete(`${key} > ${end}`)
  noteDrainConnections(world, key, plan, observed?.destinations ?? [])
  const settled =
    plan.edits.length === 0 &&
    plan.removals.length === 0 &&
    plan.conflict === null &&
    plan.owned === wasOwned &&
    plan.drains.size === 0 &&
    drainsBefore.size === 0 &&
    ownedDrainSeconds === desired?.drainSeconds
  if (!settled) return { key, plan, wasOwned, drainsBefore }
  world.troubles.drop(key)
  return undefined
}

async function carryOut(
  world: World,
  planned: readonly Planned[],
  cause: Cause,
): Promise<RoundResult> {
  if (planned.length === 0) return noRound()
  for (const item of planned) writeAhead(world, item)
  await saveLedger(world)
  const groups: Group[] = []
  for (const { key, plan } of planned) {
    if (plan.edits.length > 0 || plan.removals.length > 0) {
      groups.push({ key, edits: plan.edits, removals: plan.removals })
    }
  }
  const outcomes = await applyGroups(world.kernel, groups)
  const result = noRound()
  for (const item of planned)
    addRound(result, settle(world, item, outcomes.get(item.key) ?? [], cause))
  await saveLedger(world)
  return result
}

/** Ownership, drain deadlines and drain times, before the kernel hears of them. */
function writeAhead(world: World, { key, plan, wasOwned, drainsBefore }: Planned): void {
  const { book } = world
  const { ledger } = book
  const drainSeconds = world.inForce.services.get(key)?.drainSeconds ?? ledger.services.get(key)
  if (plan.owned && drainSeconds !== undefined) {
    if (ledger.services.get(key) !== drainSeconds) {
      ledger.services.set(key, drainSeconds)
      book.touch()
    }
  } else if (wasOwned) {
    // Neither wanted nor there any more.
    release(world, key)
  }
  if (!sameDeadlines(plan.drains, drainsBefore)) {
    if (plan.drains.size === 0) ledger.drains.delete(key)
    else ledger.drains.set(key, plan.drains)
    book.touch()
  }
}

/** What the outcomes say about what stands, what is ours, what failed and what was drift. */
function settle(
  world: World,
  planned: Planned,
  outcomes: readonly Outcome[],
  cause: Cause,
): RoundResult {
  const { key, plan, wasOwned } = planned
  const wasTrouble = world.troubles.has(key)
  const done: Op[] = []
  for (const outcome of outcomes) {
    if (outcome.ok) {
      done.push(outcome.op)
      noteStanding(world, key, outcome.op)
      if (outcome.op.kind === 'service.remove') release(world, key)
    } else if (outcome.op.kind === 'service.create' && !wasOwned && outcome.code !== 'ETIMEDOUT') {
      // Not made, so not ours; a timeout may have made it.
      release(world, key)
    } else if (outcome.code === 'ESRCH') world.standing.delete(key)
  }
  const failed = failedOpsOf(outcomes)
  if (plan.conflict !== null) failed.push(plan.conflict)
  if (failed.length > 0) world.troubles.record(key, failed, world.clock.monotonicMs())
  else world.troubles.drop(key)
  const drift = cause === 'verify' && wasOwned && !wasTrouble ? unexpected(done, planned) : []
  if (drift.length > 0) world.repairs.add(drift, world.clock.wallMs())
  return {
    ops: outcomes.filter((outcome) => outcome.ok || outcome.code !== SKIPPED).length,
    failed: failed.length,
    drift: drift.length,
  }
}

/** Ops that no drain explains. */
function unexpected(done: readonly Op[], { drainsBefore }: Planned): Op[] {
  return done.filter((op) => {
    if (op.kind === 'service.remove') return false
    return !(op.kind === 'destination.remove' && drainsBefore.has(destinationKey(op.destination)))
  })
}

function release(world: World, key: string): void {
  const { ledger } = world.book
  const had = ledger.services.delete(key)
  if (ledger.drains.delete(key) || had) world.book.touch()
  if (!world.inForce.services.has(key)) world.troubles.drop(key)
}

/** Keeps the last dump true after our own writes, so that no dump is needed before the next change. */
function noteStanding(world: World, key: string, op: Op): void {
  if (op.kind === 'service.create') {
    world.standing.set(key, { ...serviceRef(op.service), ...op.to, exact: true, stats: NO_STATS })
  } else if (op.kind === 'service.update') {
    const before = world.standing.get(key)
    world.standing.set(key, {
      ...serviceRef(op.service),
      ...op.to,
      exact: true,
      stats: before?.stats ?? NO_STATS,
    })
  } else if (op.kind === 'service.remove') {
    world.standing.delete(key)
  }
}

function noteDrainConnections(
  world: World,
  key: string,
  plan: ServicePlan,
  destinations: readonly ObservedDestination[],
): void {
  if (plan.drains.size === 0) return
  for (const destination of destinations) {
    const end = destinationKey(destination)
    if (!plan.drains.has(end)) continue
    const connections = destination.activeConnections + destination.inactiveConnections
    world.drainConnections.set(`${key} > ${end}`, connections)
  }
}

function sameDeadlines(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  if (a.size !== b.size) return false
  for (const [key, deadline] of a) if (b.get(key) !== deadline) return false
  return true
}
