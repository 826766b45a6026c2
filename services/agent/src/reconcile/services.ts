/**
 * Observes, plans and applies some virtual services, in parts so small that what they leave behind dies young.
 * Ownership and drain deadlines are on disk before the kernel hears of them; what could not be made is not
 * owned after.
 */
import {
  destinationKey,
  serviceKey,
  serviceRef,
  type DestinationRef,
  type Op,
} from '@lvs-fleet/contract'
import { applyGroups, SKIPPED, type Group } from '../apply/apply.ts'
import type { ObservedDestination, ObservedService, Outcome } from '../kernel/kernel.ts'
import { goneLook, lookAtDrains, NO_LOOKS } from '../plan/drain-look.ts'
import {
  planService,
  type ServiceContext,
  type ServicePlan,
  type StandingService,
} from '../plan/plan-service.ts'
import { recall, type Remembered } from './remembered.ts'
import { failedOpsOf } from './troubles.ts'
import { addRound, noRound, saveLedger, type Cause, type RoundResult, type World } from './world.ts'

/** Services that are observed, planned and sent together: about 1,100 ops at ten destinations each. */
const PART = 100
/** Plans that wait for one write of the ledger. */
const LEDGER_CHUNK = 2_000

const NO_DRAINS: ReadonlyMap<string, number> = new Map()
const NO_STATS = { connections: 0n, inPackets: 0n, outPackets: 0n, inBytes: 0n, outBytes: 0n }

type Planned = {
  readonly key: string
  readonly plan: ServicePlan
  readonly wasOwned: boolean
  readonly drainsBefore: ReadonlyMap<string, number>
  /** Planned without a look at its destinations: a refusal only says that somebody else was there. */
  readonly isRecalled: boolean
}

/**
 * `work`: keys, each with what its service was known to be, or undefined to look first.
 * `onDone` hears the keys whose services are as planned, or failed and recorded.
 */
export async function reconcileServices(
  world: World,
  work: ReadonlyMap<string, Remembered>,
  cause: Cause,
  onDone: (keys: readonly string[]) => void = () => {},
): Promise<RoundResult> {
  const total = noRound()
  const claimed = await claimMissing(world, work.keys())
  const waiting: Planned[] = []
  const flush = async (): Promise<void> => {
    const items = waiting.splice(0)
    for (const item of items) writeAhead(world, item)
    await saveLedger(world)
    addRound(total, await carryOut(world, items, cause))
    await saveLedger(world)
    onDone(items.map((item) => item.key))
  }
  for (const part of partsOf(work)) {
    const planned = await planPart(world, part, claimed)
    const first = planned.filter((item) => concernsLedger(world, item))
    waiting.push(...first)
    const ready = first.length === 0 ? planned : planned.filter((item) => !first.includes(item))
    addRound(total, await carryOut(world, ready, cause))
    const waits = new Set(first.map((item) => item.key))
    onDone([...part.keys()].filter((key) => !waits.has(key)))
    if (waiting.length >= LEDGER_CHUNK) await flush()
  }
  if (waiting.length > 0) await flush()
  else await saveLedger(world)
  return total
}

/** Plans of the services that need any work; changes nothing. */
export async function planServices(world: World, keys: Iterable<string>): Promise<ServicePlan[]> {
  const plans: ServicePlan[] = []
  const work = new Map([...keys].map((key) => [key, undefined]))
  for (const part of partsOf(work)) {
    plans.push(...(await planPart(world, part, new Set())).map((item) => item.plan))
  }
  return plans
}

function* partsOf(work: ReadonlyMap<string, Remembered>): Generator<Map<string, Remembered>> {
  let part = new Map<string, Remembered>()
  for (const [key, remembered] of work) {
    part.set(key, remembered)
    if (part.size < PART) continue
    yield part
    part = new Map()
  }
  if (part.size > 0) yield part
}

/** What is wanted and does not stand is ours from here on: one write for all of them. */
async function claimMissing(world: World, keys: Iterable<string>): Promise<ReadonlySet<string>> {
  const claimed = new Set<string>()
  const { book, inForce, standing } = world
  for (const key of keys) {
    const desired = inForce.services.get(key)
    if (desired === undefined || standing.has(key) || book.ledger.services.has(key)) continue
    book.ledger.services.set(key, desired.drainSeconds)
    claimed.add(key)
  }
  if (claimed.size > 0) book.touch()
  await saveLedger(world)
  return claimed
}

async function planPart(
  world: World,
  part: ReadonlyMap<string, Remembered>,
  claimed: ReadonlySet<string>,
): Promise<Planned[]> {
  const planned: Planned[] = []
  const { looked, recalled } = await observeServices(world, part)
  const nowMs = world.clock.monotonicMs()
  const wallMs = world.clock.wallMs()
  for (const key of part.keys()) {
    const observed = recalled.get(key) ?? looked.get(key)
    const item = planOne(world, { key, observed, claimed: claimed.has(key), nowMs, wallMs })
    if (item !== undefined) planned.push({ ...item, isRecalled: recalled.has(key) })
  }
  return planned
}

/** Destinations of those that stand and may be touched; the others need no look. */
async function observeServices(
  world: World,
  part: ReadonlyMap<string, Remembered>,
): Promise<{
  looked: ReadonlyMap<string, StandingService>
  recalled: ReadonlyMap<string, StandingService>
}> {
  const refs: ObservedService[] = []
  const looked = new Map<string, StandingService>()
  const recalled = new Map<string, StandingService>()
  for (const [key, remembered] of part) {
    const service = world.standing.get(key)
    if (service === undefined) continue
    const concerns =
      world.book.ledger.services.has(key) ||
      (world.inForce.host.adopt && world.inForce.services.has(key))
    const known = concerns ? recall(world, key, remembered) : undefined
    if (known !== undefined) recalled.set(key, { ...service, destinations: known })
    else if (concerns) refs.push(service)
    else looked.set(key, { ...service, destinations: [] })
  }
  if (refs.length === 0) return { looked, recalled }
  const lists = await world.kernel.listDestinations(refs)
  for (const [i, service] of refs.entries()) {
    const key = serviceKey(service)
    const destinations = lists[i]
    if (destinations === undefined) world.standing.delete(key)
    else looked.set(key, { ...service, destinations })
  }
  return { looked, recalled }
}

function planOne(
  world: World,
  about: {
    readonly key: string
    readonly observed: StandingService | undefined
    /** In the ledger since a moment ago, for this very plan. */
    readonly claimed: boolean
    readonly nowMs: number
    readonly wallMs: number
  },
): Omit<Planned, 'isRecalled'> | undefined {
  const { key, observed, claimed, nowMs, wallMs } = about
  const { ledger } = world.book
  const desired = world.inForce.services.get(key)
  const ownedDrainSeconds = ledger.services.get(key)
  const wasOwned = ownedDrainSeconds !== undefined && !claimed
  const drainsBefore = ledger.drains.get(key) ?? NO_DRAINS
  const standing = observed?.destinations ?? []
  const before = world.drainLooks.get(key) ?? NO_LOOKS
  const looks = lookAtDrains(desired, standing, { before, nowMs })
  if (looks.size === 0) world.drainLooks.delete(key)
  else world.drainLooks.set(key, looks)
  const context: ServiceContext = {
    owned: wasOwned,
    adopt: world.inForce.host.adopt,
    nowMs,
    wallMs,
    drainSeconds: ownedDrainSeconds ?? desired?.drainSeconds ?? 0,
    drains: drainsBefore,
    asked: ledger.askedDrains.get(key) ?? NO_DRAINS,
    looks,
  }
  const plan = planService(desired, observed, context)
  for (const end of drainsBefore.keys()) world.drainConnections.delete(`${key} > ${end}`)
  noteDrainConnections(world, key, plan, standing)
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
  const result = noRound()
  const groups: Group[] = []
  for (const { key, plan } of planned) {
    if (plan.edits.length > 0 || plan.removals.length > 0) {
      groups.push({ key, edits: plan.edits, removals: plan.removals })
    }
  }
  const outcomes = await applyGroups(world.kernel, groups)
  const surprises: string[] = []
  for (const item of planned) {
    const got = outcomes.get(item.key) ?? []
    if (item.isRecalled && got.some((outcome) => !outcome.ok)) surprises.push(item.key)
    else addRound(result, settle(world, item, got, cause))
  }
  if (surprises.length > 0) addRound(result, await lookAgain(world, surprises, cause))
  return result
}

/** Somebody changed these behind our back: planned anew from what the kernel says. */
function lookAgain(world: World, keys: readonly string[], cause: Cause): Promise<RoundResult> {
  return reconcileServices(world, new Map(keys.map((key) => [key, undefined])), cause)
}

/** True where ownership, drain deadlines or drain times change: on disk before the kernel hears of them. */
function concernsLedger(world: World, { key, plan, drainsBefore }: Planned): boolean {
  const owned = world.book.ledger.services.get(key)
  const drainSeconds = world.inForce.services.get(key)?.drainSeconds ?? owned
  return (
    (plan.owned ? drainSeconds : undefined) !== owned ||
    !sameDeadlines(plan.drains, drainsBefore) ||
    // May change alone: the wall clock was set, and the operator asked again.
    !sameDeadlines(plan.asked, world.book.ledger.askedDrains.get(key) ?? NO_DRAINS)
  )
}

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
  if (!sameDeadlines(plan.asked, ledger.askedDrains.get(key) ?? NO_DRAINS)) {
    if (plan.asked.size === 0) ledger.askedDrains.delete(key)
    else ledger.askedDrains.set(key, plan.asked)
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
      if (outcome.op.kind === 'destination.remove') noteGone(world, key, outcome.op.destination)
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
  ledger.askedDrains.delete(key)
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

function noteGone(world: World, key: string, destination: DestinationRef): void {
  const looks = world.drainLooks.get(key)
  const end = destinationKey(destination)
  const look = looks?.get(end)
  if (looks === undefined || look === undefined) return
  world.drainLooks.set(key, new Map(looks).set(end, goneLook(look)))
}

function sameDeadlines(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  if (a.size !== b.size) return false
  for (const [key, deadline] of a) if (b.get(key) !== deadline) return false
  return true
}
