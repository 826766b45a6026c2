/**
 * Whose turn it is: one kernel-touching thing at a time, none while an operator holds the agent, and a kernel that does not
 * answer is a failed op, not the end. Takes rounds; what they do is theirs.
 */
import { holdReason } from './hold.ts'
import { KernelError } from './kernel/kernel.ts'
import type { Disk } from './ports.ts'
import { failedOp } from './reconcile/troubles.ts'
import { noRound, type RoundResult, type World } from './reconcile/world.ts'

/** The group's name among troubles. */
const KERNEL_GROUP = 'kernel'

type TurnsDeps = {
  readonly world: World
  readonly disk: Disk
  /** The kernel did not answer: what was known of it is not known any more. */
  readonly onSilence: () => void
}

export class Turns {
  /** Why an operator stopped this agent on the host, as last seen. */
  held: string | null = null
  private readonly deps: TurnsDeps
  private queue: Promise<unknown> = Promise.resolve()

  constructor(deps: TurnsDeps) {
    this.deps = deps
  }

  /** After everything that was asked for before, however that ended. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const run = this.queue.then(work, work)
    this.queue = run.catch(() => undefined)
    return run
  }

  async isHeld(): Promise<boolean> {
    this.held = (await holdReason(this.deps.disk)) ?? null
    return this.held !== null
  }

  /** Runs a round unless held. Throws what is not the kernel's. */
  async guarded(round: () => Promise<RoundResult>, ignoreHold = false): Promise<RoundResult> {
    if ((await this.isHeld()) && !ignoreHold) return noRound()
    const { world, onSilence } = this.deps
    const now = world.clock.monotonicMs()
    try {
      const result = await round()
      world.troubles.drop(KERNEL_GROUP)
      return result
    } catch (error) {
      if (!(error instanceof KernelError)) throw error
      const { operation, code, message } = error
      world.troubles.record(KERNEL_GROUP, [failedOp(operation, code, message)], now)
      world.log('error', 'kernel did not answer', { error: message })
      onSilence()
      return noRound()
    }
  }
}
