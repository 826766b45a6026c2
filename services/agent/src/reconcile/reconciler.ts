/**
 * Which virtual services a round looks at. A new state: only those it changed. Verify: everything that a
 * cheap dump shows missing or different, plus a rotating slice whose destinations are read, so that each
 * destination is looked at in turn. Drains: those that drain. Nothing at all while no state is in force.
 */
import { sameServiceConfig, serviceKey, type FailedOp, type Op } from '@lvs-fleet/contract'
import type { StateChange } from '../state/candidate.ts'
import { losesPackets } from '../plan/mark-turn.ts'
import {
  applyMarks,
  applyNetworkAdds,
  drainingAddresses,
  NETWORK_GROUP,
  planNetworkRound,
  reconcileNetwork,
  settleNetwork,
  type NetworkRound,
} from './network.ts'
import type { Remembered } from './remembered.ts'
import { planServices, reconcileServices } from './services.ts'
import { addRound, noRound, type Cause, type RoundResult, type World } from './world.ts'

/** Services whose destinations one verify round reads beyond the suspects. */
export const VERIFY_SLICE = 500
/** Draining services that one round looks at. */
const DRAIN_SLICE = 500

export type Reconciler = {
  /** Notes what a state change touches; `work` then does it. */
  touch(change: StateChange): void
  /** Everything, from a fresh dump: after a start or a kernel that answered nothing. */
  touchAll(): void
  readonly isSettled: boolean
  work(cause: Cause): Promise<RoundResult>
  /** What `work` would do; changes nothing. */
  plan(): Promise<{ ops: Op[]; conflicts: FailedOp[] }>
  verify(): Promise<RoundResult>
  verifyNetwork(): Promise<RoundResult>
  drain(): Promise<RoundResult>
}

export function createReconciler(world: World): Reconciler {
  /** What is to be done, with what is known of it; undefined: look first. */
  const pending = new Map<string, Remembered>()
  let networkPending = false
  let dumpPending = true
  let slice: Iterator<string> = [].values()
  let drainSlice: Iterator<string> = [].values()

  const dump = async (): Promise<void> => {
    const { services } = await world.kernel.listServices()
    world.standing.clear()
    for (const service of services) world.standing.set(serviceKey(service), service)
    dumpPending = false
  }

  const work = async (cause: Cause): Promise<RoundResult> => {
    const total = noRound()
    if (dumpPending) await dump()
    const network = networkPending ? await planNetworkRound(world) : undefined
    if (networkPending && network === undefined) world.troubles.drop(NETWORK_GROUP)
    const done = (keys: readonly string[]): void => {
      for (const key of keys) pending.delete(key)
    }
    const round = { network, work: new Map(pending), cause, done }
    const turn = () => inTurn(world, round)
    // A VIP leaves with the host part: where that stays, there is none to free and nothing to look through.
    addRound(total, await (network === undefined ? turn() : withFreed(world, cause, turn)))
    networkPending = false
    return total
  }

  return {
    get isSettled() {
      return pending.size === 0 && !networkPending
    },
    touch(change) {
      for (const [key, { before }] of change.services) {
        // What is not done yet stands as neither side says.
        pending.set(key, pending.has(key) ? undefined : before)
      }
      if (!change.hostChanged) return
      networkPending = true
      // Adoption may have been allowed: what was in conflict deserves another look at once.
      for (const key of world.inForce.services.keys()) {
        if (!world.book.ledger.services.has(key)) pending.set(key, undefined)
      }
    },
    touchAll() {
      for (const key of world.inForce.services.keys()) pending.set(key, undefined)
      for (const key of world.book.ledger.services.keys()) pending.set(key, undefined)
      networkPending = true
      dumpPending = true
    },
    work,
    async plan() {
      await dump()
      const network = await planNetworkRound(world)
      const services = await planServices(world, pending.keys())
      const ops = [
        ...(network?.plan.adds ?? []),
        ...services.flatMap((plan) => plan.edits),
        ...(network?.plan.marks ?? []),
        ...services.flatMap((plan) => plan.removals),
        ...(network?.plan.removals ?? []),
      ]
      const conflicts = services.flatMap((plan) => (plan.conflict === null ? [] : [plan.conflict]))
      return { ops, conflicts: [...(network?.plan.conflicts ?? []), ...conflicts] }
    },
    async verify() {
      if (world.inForce.source === 'none') return noRound()
      await dump()
      const now = world.clock.monotonicMs()
      const keys = suspects(world, now)
      slice = takeInto(keys, slice, () => world.inForce.services.keys(), VERIFY_SLICE)
      for (const key of keys) if (world.troubles.isWaiting(key, now)) keys.delete(key)
      const work = toLookAt(keys)
      if (!world.troubles.isWaiting(NETWORK_GROUP, now)) {
        const network = await planNetworkRound(world)
        if (network === undefined) world.troubles.drop(NETWORK_GROUP)
        return inTurn(world, { network, work, cause: 'verify' })
      }
      // Nobody knows what marks would turn away from them.
      const [, others] = partition(work, (key) => startsToLeave(world, key))
      return reconcileServices(world, others, 'verify')
    },
    async verifyNetwork() {
      if (world.inForce.source === 'none') return noRound()
      if (world.troubles.isWaiting(NETWORK_GROUP, world.clock.monotonicMs())) return noRound()
      return reconcileNetwork(world, 'verify')
    },
    async drain() {
      const { drains } = world.book.ledger
      if (world.inForce.source === 'none' || drains.size === 0) return noRound()
      const keys = new Set<string>()
      drainSlice = takeInto(keys, drainSlice, () => drains.keys(), DRAIN_SLICE)
      const now = world.clock.monotonicMs()
      for (const key of keys) if (world.troubles.isWaiting(key, now)) keys.delete(key)
      const work = toLookAt(keys)
      const look = () => reconcileServices(world, work, 'drain')
      // Destinations that drain free no address: only a service that left the state does.
      const frees = [...keys].some((key) => !world.inForce.services.has(key))
      return frees ? withFreed(world, 'drain', look) : look()
    },
  }
}

/**
 * Ground, services, marks, services that marks turned packets away from, removals of the ground. What could not
 * be turned keeps the services that it has; the next verify round tries again.
 */
async function inTurn(
  world: World,
  round: {
    readonly network: NetworkRound | undefined
    readonly work: ReadonlyMap<string, Remembered>
    readonly cause: Cause
    readonly done?: (keys: readonly string[]) => void
  },
): Promise<RoundResult> {
  const { network, work, cause, done = () => {} } = round
  if (network === undefined) return reconcileServices(world, work, cause, done)
  const total = noRound()
  const added = await applyNetworkAdds(world, network)
  const { marks } = network.plan
  const [last, first] = partition(work, (key) => leavesBy(world, key, marks))
  addRound(total, await reconcileServices(world, first, cause, done))
  const turned = await applyMarks(world, network)
  const isTurned = turned.length === marks.length && turned.every((outcome) => outcome.ok)
  if (isTurned) addRound(total, await reconcileServices(world, last, cause, done))
  else done([...last.keys()])
  addRound(total, await settleNetwork(world, network, [...added, ...turned], cause))
  return total
}

/** Services that go free their addresses: those leave with them, not when the network is looked at next. */
async function withFreed(
  world: World,
  cause: Cause,
  work: () => Promise<RoundResult>,
): Promise<RoundResult> {
  const held = drainingAddresses(world)
  const total = await work()
  if (held.isSubsetOf(drainingAddresses(world))) return total
  if (world.troubles.isWaiting(NETWORK_GROUP, world.clock.monotonicMs())) return total
  addRound(total, await reconcileNetwork(world, cause))
  return total
}

/** Copies, so that both may shrink while they are worked on: those that `isFirst` takes, and the others. */
function partition<T>(
  map: ReadonlyMap<string, T>,
  isFirst: (key: string) => boolean,
): [Map<string, T>, Map<string, T>] {
  const entries = [...map]
  return [
    new Map(entries.filter(([key]) => isFirst(key))),
    new Map(entries.filter(([key]) => !isFirst(key))),
  ]
}

/** A service that left the state and whose packets these marks turn elsewhere. */
function leavesBy(world: World, key: string, marks: readonly Op[]): boolean {
  const standing = world.standing.get(key)
  return standing !== undefined && !world.inForce.services.has(key) && losesPackets(standing, marks)
}

/** Left the state and does not drain yet. */
function startsToLeave(world: World, key: string): boolean {
  return !world.inForce.services.has(key) && !world.book.ledger.drains.has(key)
}

function toLookAt(keys: ReadonlySet<string>): ReadonlyMap<string, Remembered> {
  return new Map([...keys].map((key) => [key, undefined]))
}

/** What the dump shows missing, different or leaving, and failures whose time to be tried again has come. */
function suspects(world: World, nowMs: number): Set<string> {
  const keys = new Set<string>()
  for (const [key, desired] of world.inForce.services) {
    const standing = world.standing.get(key)
    if (standing === undefined || !sameServiceConfig(desired, standing)) keys.add(key)
    else if (!world.book.ledger.services.has(key)) keys.add(key)
  }
  for (const key of world.book.ledger.services.keys()) {
    if (!world.inForce.services.has(key) && !world.book.ledger.drains.has(key)) keys.add(key)
  }
  for (const group of world.troubles.due(nowMs)) {
    if (world.inForce.services.has(group) || world.book.ledger.services.has(group)) keys.add(group)
  }
  return keys
}

/** Takes up to `max` further keys, beginning anew when the round trip is over; at most one round trip. */
function takeInto(
  keys: Set<string>,
  from: Iterator<string>,
  again: () => Iterator<string>,
  max: number,
): Iterator<string> {
  let iterator = from
  let restarted = false
  for (let taken = 0; taken < max; taken++) {
    let next = iterator.next()
    if (next.done === true) {
      if (restarted) break
      restarted = true
      iterator = again()
      next = iterator.next()
      if (next.done === true) break
    }
    keys.add(next.value)
  }
  return iterator
}
