/**
 * Plans one virtual service: what is wanted, what stands, what is ours → edits, then removals.
 * Pure. Whatever leaves is drained: weight 0 first, removed when idle or at its deadline; what comes
 * back is an ordinary edit again. What an operator drains leaves in the same way, by its own deadline. A service that stands and is not ours is left alone unless adopted.
 */
import {
  createService,
  describeOp,
  destinationConfig,
  destinationKey,
  diffService,
  serviceConfig,
  serviceKey,
  serviceRef,
  type FailedOp,
  type Op,
  type ServiceState,
} from '@lvs-fleet/contract'
import type { ObservedDestination, ObservedService } from '../kernel/kernel.ts'
import { hasConnections, isQuiet, NO_LOOKS, withoutDrains, type DrainLooks } from './drain-look.ts'

/** A virtual service as the kernel holds it, with its destinations. */
export type StandingService = ObservedService & {
  readonly destinations: readonly ObservedDestination[]
}

export type ServiceContext = {
  readonly owned: boolean
  /** Take over what is wanted and stands, though not ours. */
  readonly adopt: boolean
  /** Boot clock. */
  readonly nowMs: number
  readonly wallMs: number
  /** Of the state that last had what leaves now. */
  readonly drainSeconds: number
  /** Drains that run already: destination key → deadline. */
  readonly drains: ReadonlyMap<string, number>
  /** Those of them that an operator asked for: destination key → the wall clock's deadline that theirs was made from. */
  readonly asked: ReadonlyMap<string, number>
  /** Of what operators drain: taken from the same look as what stands. */
  readonly looks: DrainLooks
}

export type ServicePlan = {
  /** In an order in which every prefix leaves a usable destination, where before and after have one. */
  readonly edits: readonly Op[]
  /** Only when every edit worked: weight 0 for what leaves, then removals. */
  readonly removals: readonly Op[]
  /** Drains that run after this plan. */
  readonly drains: ReadonlyMap<string, number>
  readonly asked: ReadonlyMap<string, number>
  /** Ownership before the plan is carried out. */
  readonly owned: boolean
  readonly conflict: FailedOp | null
}

const NO_DRAINS: ReadonlyMap<string, number> = new Map()

export function planService(
  desired: ServiceState | undefined,
  observed: StandingService | undefined,
  context: ServiceContext,
): ServicePlan {
  if (observed === undefined) {
    const edits = desired === undefined ? [] : createService(withoutDrains(desired))
    return nothingElse({ edits, owned: desired !== undefined })
  }
  if (!context.owned) {
    if (desired === undefined) return nothingElse({})
    if (!context.adopt) return nothingElse({ conflict: conflictOf(desired) })
  }
  if (desired === undefined) return planDeparture(observed, context)
  return planStanding(desired, observed, context)
}

/** The service stands, is wanted and ours (or to be taken over). */
function planStanding(
  wanted: ServiceState,
  observed: StandingService,
  context: ServiceContext,
): ServicePlan {
  const desired = withoutDrains(wanted)
  const diff = diffService(desired, observed)
  if (diff.edits.length === 0 && diff.removals.length === 0) return nothingElse({ owned: true })
  const leaving = diff.removals.length === 0 ? [] : notIn(desired, observed.destinations)
  const { removals, ...running } = planDrains(desired, leaving, context)
  const edits = raiseBeforeLower(diff.edits)
  return { edits, removals, ...running, owned: true, conflict: null }
}

/** The service left the state: drain all it has, and remove it with the last. */
function planDeparture(observed: StandingService, context: ServiceContext): ServicePlan {
  const all = { ...context, looks: NO_LOOKS }
  const { removals, ...running } = planDrains(observed, observed.destinations, all)
  if (running.drains.size === 0) {
    removals.push({ kind: 'service.remove', service: serviceRef(observed) })
  }
  return { edits: [], removals, ...running, owned: true, conflict: null }
}

type Drains = Pick<ServicePlan, 'drains' | 'asked'> & { readonly removals: Op[] }

/** Weight 0 for each destination that leaves and may still have connections, removal for the others. */
function planDrains(
  service: ServiceState | StandingService,
  leaving: readonly ObservedDestination[],
  context: ServiceContext,
): Drains {
  if (leaving.length === 0) return { removals: [], drains: NO_DRAINS, asked: NO_DRAINS }
  const quiesces: Op[] = []
  const removals: Op[] = []
  const drains = new Map<string, number>()
  const asked = new Map<string, number>()
  for (const destination of leaving) {
    const key = destinationKey(destination)
    const look = context.looks.get(key)
    const deadline = deadlineOf(key, context)
    const isDone =
      look === undefined
        ? destination.weight === 0 && !hasConnections(service, destination)
        : isQuiet(look, context.nowMs)
    if (isDone || deadline <= context.nowMs) {
      removals.push({
        kind: 'destination.remove',
        service: serviceRef(service),
        destination: endOf(destination),
      })
      continue
    }
    drains.set(key, deadline)
    if (look !== undefined) asked.set(key, look.drain.deadline)
    if (destination.weight !== 0) {
      const from = destinationConfig(destination)
      const to = { ...from, weight: 0 }
      quiesces.push({
        kind: 'destination.update',
        service: serviceRef(service),
        destination: endOf(destination),
        from,
        to,
      })
    }
  }
  return { removals: [...quiesces, ...removals], drains, asked }
}

/**
 * On the boot clock. One that runs stays, unless an operator changed it; what leaves the state while an operator drains it
 * has the service's own time, and never more than it had before.
 */
function deadlineOf(key: string, context: ServiceContext): number {
  const { nowMs, wallMs, looks } = context
  const running = context.drains.get(key)
  const asked = context.asked.get(key)
  const drain = looks.get(key)?.drain
  if (drain !== undefined) {
    return running !== undefined && asked === drain.deadline
      ? running
      : nowMs + (drain.deadline - wallMs)
  }
  const own = nowMs + context.drainSeconds * 1_000
  if (running === undefined) return own
  return asked === undefined ? running : Math.min(running, own)
}

/**
 * Service, new destinations, edits that keep or raise a destination above 0, and only then those to weight 0:
 * a swap of two weights never passes through "nobody answers".
 */
function raiseBeforeLower(edits: readonly Op[]): readonly Op[] {
  const quiesces = (op: Op): boolean =>
    op.kind === 'destination.update' && op.to.weight === 0 && op.from.weight !== 0
  if (!edits.some(quiesces)) return edits
  return [...edits.filter((op) => !quiesces(op)), ...edits.filter(quiesces)]
}

function notIn(
  desired: ServiceState,
  destinations: readonly ObservedDestination[],
): ObservedDestination[] {
  const wanted = new Set(desired.destinations.map(destinationKey))
  return destinations.filter((destination) => !wanted.has(destinationKey(destination)))
}

function conflictOf(desired: ServiceState): FailedOp {
  const op = describeOp({ kind: 'service.create', service: desired, to: serviceConfig(desired) })
  return {
    op,
    code: 'conflict',
    message: conflictMessage(`virtual service ${serviceKey(desired)}`),
  }
}

/** What to do about an object that is in the way. */
export function conflictMessage(object: string): string {
  return `${object} stands in the kernel and was not made by this agent: set adopt: true on the director to take it over, or remove it by hand`
}

function nothingElse(plan: Partial<ServicePlan>): ServicePlan {
  const none = { edits: [], removals: [], drains: NO_DRAINS, asked: NO_DRAINS }
  return { ...none, owned: false, conflict: null, ...plan }
}

function endOf(destination: ObservedDestination): Pick<ObservedDestination, 'address' | 'port'> {
  return { address: destination.address, port: destination.port }
}
