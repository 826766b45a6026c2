/**
 * Conditions of one host: what was published, held against what its agent last said. Pure.
 * `converged` is the one that people wait for; the others say why it is false.
 */
import type { Manifest, NarrowPath, StatusReport } from '@lvs-fleet/contract'

export const CONDITION_TYPES = [
  'converged',
  'drifted',
  'rejected',
  'held',
  'quarantined',
  'mtu-too-small',
  'stale',
] as const

export type Condition = {
  readonly type: (typeof CONDITION_TYPES)[number]
  readonly status: boolean
  readonly message: string
}

/** No report for this long = stale. Agents report at least every five minutes. */
export const STALE_AFTER_SECONDS = 660

export type HostFacts = {
  readonly published: Pick<Manifest, 'epoch' | 'generation' | 'digest'> | null
  readonly report: StatusReport | null
  readonly reportReceivedAt: Date | null
  readonly now: Date
  readonly enrolled: boolean
  /** Why its identity is held off; null = it is not. */
  readonly quarantine: string | null
}

export function conditionsOf(facts: HostFacts): Condition[] {
  return [
    converged(facts),
    drifted(facts),
    rejected(facts),
    held(facts),
    quarantined(facts),
    mtuTooSmall(facts),
    stale(facts),
  ]
}

function converged({ published, report, enrolled }: HostFacts): Condition {
  const say = (status: boolean, message: string): Condition => ({
    type: 'converged',
    status,
    message,
  })
  if (!enrolled) return say(false, 'not enrolled: no agent has joined as this host')
  if (published === null) return say(false, 'nothing is published for it')
  if (report?.applied == null) return say(false, 'the agent has not applied any state yet')
  const { applied, failedOpCount } = report
  if (applied.epoch !== published.epoch || applied.generation !== published.generation) {
    return say(
      false,
      `generation ${applied.generation} is applied, ${published.generation} is published`,
    )
  }
  if (failedOpCount > 0) {
    const first = report.failedOps[0]
    return say(false, `${failedOpCount} failed: ${first?.op ?? ''}: ${first?.message ?? ''}`)
  }
  const draining = report.drainCount === 0 ? '' : `; ${report.drainCount} destinations drain`
  return say(true, `generation ${applied.generation} is in the kernel${draining}`)
}

function quarantined({ quarantine }: HostFacts): Condition {
  return {
    type: 'quarantined',
    status: quarantine !== null,
    message: quarantine ?? 'its identity is in use by one host',
  }
}

function drifted({ report }: HostFacts): Condition {
  const count = report?.driftCount ?? 0
  const last = report?.drift.at(-1)
  return {
    type: 'drifted',
    status: (report?.drift.length ?? 0) > 0,
    message:
      last === undefined
        ? 'nothing changed behind the agent'
        : `${count} repaired, last at ${last.at}: ${last.op}`,
  }
}

function rejected({ report }: HostFacts): Condition {
  const rejection = report?.rejected ?? null
  return {
    type: 'rejected',
    status: rejection !== null,
    message: rejection === null ? 'no state is refused' : `${rejection.code}: ${rejection.detail}`,
  }
}

function held({ report }: HostFacts): Condition {
  const reason = report?.held ?? null
  return {
    type: 'held',
    status: reason !== null,
    message: reason === null ? 'nobody holds the agent' : `stopped on the host: ${reason}`,
  }
}

/** A path that could not be measured is no alarm: a filter on the way says nothing about clients. */
function mtuTooSmall({ report }: HostFacts): Condition {
  const paths = report?.paths ?? null
  const say = (status: boolean, message: string): Condition => ({
    type: 'mtu-too-small',
    status,
    message,
  })
  if (paths === null) return say(false, 'no path was measured')
  const { narrow, narrowCount, fittingCount, unknownCount } = paths
  const [first] = narrow
  if (first === undefined) {
    const unknown = unknownCount === 0 ? '' : `; ${unknownCount} answer nothing and are unknown`
    return say(false, `${fittingCount} paths carry what was computed${unknown}`)
  }
  const more = narrowCount > 1 ? `; and ${narrowCount - 1} more` : ''
  return say(true, `${describeNarrow(first)}${more}`)
}

function describeNarrow({ realServer, path, mtu, carries }: NarrowPath): string {
  return `path to ${realServer} (${path}) carries ${carries} of ${mtu} bytes`
}

function stale({ enrolled, reportReceivedAt, now }: HostFacts): Condition {
  if (!enrolled || reportReceivedAt === null) {
    return { type: 'stale', status: enrolled, message: 'no report yet' }
  }
  const seconds = Math.round((now.getTime() - reportReceivedAt.getTime()) / 1000)
  return {
    type: 'stale',
    status: seconds > STALE_AFTER_SECONDS,
    message: `last report ${seconds} s ago`,
  }
}
