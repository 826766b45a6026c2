/**
 * Carries out plans through the Kernel port. A group is one virtual service, or the network part: nothing
 * is removed in a group of which an add or edit failed, and other groups go on. Few large calls, because a
 * batch costs the kernel a tenth of the same ops sent one by one.
 */
import { serviceKey, type Op } from '@lvs-fleet/contract'
import type { Kernel, Outcome } from '../kernel/kernel.ts'

export type Group = {
  readonly key: string
  readonly edits: readonly Op[]
  readonly removals: readonly Op[]
}

/** Code of ops that were not sent because an earlier one of their group failed. */
export const SKIPPED = 'skipped'

/** What a removal answers when the object is gone already: done. */
const GONE_CODES: ReadonlySet<string> = new Set(['ENOENT', 'ESRCH', 'ENODEV', 'EADDRNOTAVAIL'])

/** One outcome per op, by group; ops that another one replaced show the last one's result. */
export async function applyGroups(
  kernel: Pick<Kernel, 'apply'>,
  groups: readonly Group[],
): Promise<Map<string, Outcome[]>> {
  const run = new Run(kernel, groups)
  // Services first and alone: destinations of one that could not be made must not land in somebody else's.
  await run.phase((group) => group.edits.filter(isServiceEdit), [])
  await run.phase((group) => group.edits.filter((op) => !isServiceEdit(op)), ['service.create'])
  await run.phase((group) => group.removals.filter((op) => op.kind !== 'service.remove'), 'any')
  // The kernel removes a service with whatever it still has, so this must see that its destinations went.
  await run.phase((group) => group.removals.filter((op) => op.kind === 'service.remove'), 'any')
  return run.outcomes
}

class Run {
  readonly outcomes = new Map<string, Outcome[]>()
  private readonly kernel: Pick<Kernel, 'apply'>
  private readonly groups: readonly Group[]

  constructor(kernel: Pick<Kernel, 'apply'>, groups: readonly Group[]) {
    this.kernel = kernel
    this.groups = groups
    for (const group of groups) this.outcomes.set(group.key, [])
  }

  /** Sends what `pick` takes from each group, but for groups with a failure of the kinds in `blockedBy`. */
  async phase(
    pick: (group: Group) => readonly Op[],
    blockedBy: readonly Op['kind'][] | 'any',
  ): Promise<void> {
    const ops: Op[] = []
    const owners: Outcome[][] = []
    for (const group of this.groups) {
      const picked = pick(group)
      if (picked.length === 0) continue
      const outcomes = this.outcomes.get(group.key) ?? []
      const blocked = outcomes.some(
        (outcome) => !outcome.ok && (blockedBy === 'any' || blockedBy.includes(outcome.op.kind)),
      )
      for (const op of picked) {
        if (blocked) outcomes.push(skipped(op))
        else {
          ops.push(op)
          owners.push(outcomes)
        }
      }
    }
    const results = await sendForgiving(this.kernel, ops)
    results.forEach((outcome, i) => owners[i]?.push(outcome))
  }
}

/** Sends ops; what exists is edited instead, what is gone counts as removed. */
export async function sendForgiving(
  kernel: Pick<Kernel, 'apply'>,
  ops: readonly Op[],
): Promise<Outcome[]> {
  if (ops.length === 0) return []
  const outcomes = (await kernel.apply(ops)).map(forgive)
  const again: { at: number; op: Op }[] = []
  outcomes.forEach((outcome, at) => {
    const { op } = outcome
    if (outcome.ok || outcome.code !== 'EEXIST' || op.kind !== 'destination.create') return
    const { service, destination, to } = op
    again.push({ at, op: { kind: 'destination.update', service, destination, from: to, to } })
  })
  if (again.length === 0) return outcomes
  const results = await kernel.apply(again.map(({ op }) => op))
  for (const [i, { at }] of again.entries()) {
    const result = results[i]
    if (result !== undefined) outcomes[at] = result
  }
  return outcomes
}

function forgive(outcome: Outcome): Outcome {
  if (outcome.ok) return outcome
  if (isRemoval(outcome.op) && GONE_CODES.has(outcome.code)) return { op: outcome.op, ok: true }
  if (outcome.code === 'EEXIST' && outcome.op.kind === 'service.create') {
    const message = `virtual service ${serviceKey(outcome.op.service)} appeared in the kernel meanwhile and is not ours`
    return { op: outcome.op, ok: false, code: 'conflict', message }
  }
  return outcome
}

function isRemoval(op: Op): boolean {
  return op.kind.endsWith('.remove') || op.kind === 'sync.stop'
}

function isServiceEdit(op: Op): boolean {
  return op.kind === 'service.create' || op.kind === 'service.update'
}

function skipped(op: Op): Outcome {
  return { op, ok: false, code: SKIPPED, message: 'not tried: an earlier op of its group failed' }
}
