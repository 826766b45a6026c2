/**
 * What did not work, by group (a virtual service, the network part, the kernel itself), and when to try again.
 * Retries back off from one second to one minute, so a refused op never becomes a hot loop.
 */
import { describeOp, type FailedOp } from '@lvs-fleet/contract'
import { SKIPPED } from '../apply/apply.ts'
import type { Outcome } from '../kernel/kernel.ts'

const RETRY_MIN_MS = 1_000
const RETRY_MAX_MS = 60_000

type Trouble = {
  readonly failedOps: readonly FailedOp[]
  readonly failures: number
  readonly retryAtMs: number
}

export class Troubles {
  private readonly groups = new Map<string, Trouble>()

  /** Records what a group's ops gave: clears it when all worked. */
  record(group: string, failedOps: readonly FailedOp[], nowMs: number): void {
    if (failedOps.length === 0) {
      this.groups.delete(group)
      return
    }
    const failures = (this.groups.get(group)?.failures ?? 0) + 1
    const wait = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures - 1, 10))
    this.groups.set(group, { failedOps, failures, retryAtMs: nowMs + wait })
  }

  /** True while a group failed and its time to be tried again has not come. */
  isWaiting(group: string, nowMs: number): boolean {
    const trouble = this.groups.get(group)
    return trouble !== undefined && trouble.retryAtMs > nowMs
  }

  has(group: string): boolean {
    return this.groups.has(group)
  }

  /** Groups that failed and may be tried again. */
  due(nowMs: number): string[] {
    return [...this.groups].flatMap(([group, { retryAtMs }]) => (retryAtMs <= nowMs ? [group] : []))
  }

  /** Forgets groups that exist no more. */
  drop(group: string): void {
    this.groups.delete(group)
  }

  get failedOps(): FailedOp[] {
    return [...this.groups.values()].flatMap((trouble) => trouble.failedOps)
  }
}

/** Failed outcomes as they are reported; skipped ones say nothing new. */
export function failedOpsOf(outcomes: readonly Outcome[]): FailedOp[] {
  const failed: FailedOp[] = []
  for (const outcome of outcomes) {
    if (outcome.ok || outcome.code === SKIPPED) continue
    failed.push(failedOp(describeOp(outcome.op), outcome.code, outcome.message))
  }
  return failed
}

/** Cut to what a report may carry. */
export function failedOp(op: string, code: string, message: string): FailedOp {
  return { op: op.slice(0, 400), code: code.slice(0, 40), message: message.slice(0, 400) }
}
