/** What a running agent knows: the state in force, what is ours, what stood when last looked, what failed. */
import { REPORT_LIST_MAX, describeOp, type Drift, type Op } from '@lvs-fleet/contract'
import type { Kernel, ObservedService } from '../kernel/kernel.ts'
import type { LedgerBook } from '../ledger/ledger-store.ts'
import type { DrainLooks } from '../plan/drain-look.ts'
import { errnoOf, type Clock, type Log } from '../ports.ts'
import type { InForce } from '../state/candidate.ts'
import { failedOp, type Troubles } from './troubles.ts'

/** The group's name among troubles. */
const DISK_GROUP = 'disk'

/** Why a round looks at something: a change that was found by `verify` is drift, the others are expected. */
export type Cause = 'start' | 'state' | 'verify' | 'drain'

export type World = {
  readonly kernel: Kernel
  readonly clock: Clock
  readonly log: Log
  readonly inForce: InForce
  readonly book: LedgerBook
  /** Virtual services as the last dump and our own writes since have them. */
  readonly standing: Map<string, ObservedService>
  readonly troubles: Troubles
  readonly repairs: Repairs
  /** Connections of draining destinations when last looked: `service > destination`. */
  readonly drainConnections: Map<string, number>
  /** What operators drain, by virtual service, as last seen. */
  readonly drainLooks: Map<string, DrainLooks>
}

/** Repairs of what changed behind our back: the newest ones, and how many there ever were. */
export class Repairs {
  count: number
  private readonly recent: Drift[] = []

  constructor(count: number) {
    this.count = count
  }

  add(ops: readonly Op[], wallMs: number): void {
    this.count += ops.length
    const at = new Date(wallMs).toISOString()
    for (const op of ops.slice(-REPORT_LIST_MAX)) {
      this.recent.push({ at, op: describeOp(op).slice(0, 400) })
    }
    this.recent.splice(0, this.recent.length - REPORT_LIST_MAX)
  }

  get list(): readonly Drift[] {
    return this.recent
  }
}

/**
 * The ledger on disk. A disk that takes nothing is reported and does not stop the work: a host that boots
 * with a full disk must forward. At worst a crash then leaves objects that a later life takes for foreign.
 */
export async function saveLedger(world: World): Promise<void> {
  try {
    await world.book.save()
    world.troubles.drop(DISK_GROUP)
  } catch (error) {
    const code = errnoOf(error)
    if (code === undefined) throw error
    noteDiskTrouble(world, 'write the ledger', code, error)
  }
}

export function noteDiskTrouble(world: World, what: string, code: string, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error)
  world.troubles.record(DISK_GROUP, [failedOp(what, code, message)], world.clock.monotonicMs())
  world.log('error', 'the state directory cannot be written', { what, code })
}

/** Work without which the agent can go on. Throws what is not the disk's. */
export async function tryDisk(
  world: World,
  what: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    const code = errnoOf(error)
    if (code === undefined) throw error
    noteDiskTrouble(world, what, code, error)
  }
}

/** What one round did, for the log line and for tests. */
export type RoundResult = { ops: number; failed: number; drift: number }

export function noRound(): RoundResult {
  return { ops: 0, failed: 0, drift: 0 }
}

export function addRound(total: RoundResult, part: RoundResult): void {
  total.ops += part.ops
  total.failed += part.failed
  total.drift += part.drift
}
