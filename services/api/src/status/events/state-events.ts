/** What a host does with what is published, and what became of the host itself: two reports → events. */
import type { StatusReport } from '@lvs-fleet/contract'
import { conditionsOf, type Condition } from '../conditions.ts'
import type { NewEvent } from '../event.ts'
import { hostEvent, momentOf, type Seen } from './seen.ts'

export function stateEvents(seen: Seen): NewEvent[] {
  return [
    ...returnedEvent(seen),
    ...rebootEvent(seen),
    ...heldEvents(seen),
    ...rejectionEvents(seen),
    ...appliedEvent(seen),
    ...failureEvents(seen),
    ...conditionEvents(seen),
    ...driftEvents(seen),
  ]
}

function returnedEvent(seen: Seen): NewEvent[] {
  if (!seen.wasStale) return []
  const cause =
    seen.beforeAt === null ? 'first report' : `silent since ${seen.beforeAt.toISOString()}`
  return [
    hostEvent(seen, {
      kind: 'host.returned',
      cause,
      message: `${seen.name} reports again: ${cause}`,
    }),
  ]
}

function rebootEvent(seen: Seen): NewEvent[] {
  const from = seen.before?.bootId
  if (from === undefined || from === seen.now.bootId) return []
  return [
    hostEvent(seen, {
      kind: 'host.rebooted',
      severity: 'warning',
      cause: `boot ${seen.now.bootId}`,
      message: `${seen.name} was booted; the agent puts everything back`,
      detail: { from, to: seen.now.bootId },
    }),
  ]
}

function heldEvents(seen: Seen): NewEvent[] {
  const from = seen.before?.held ?? null
  const to = seen.now.held
  if (from === to) return []
  if (to === null) {
    return [
      hostEvent(seen, {
        kind: 'host.resumed',
        cause: `was held: ${from}`,
        message: `the agent on ${seen.name} goes on; it was held: ${from}`,
      }),
    ]
  }
  return [
    hostEvent(seen, {
      kind: 'host.held',
      severity: 'warning',
      cause: to,
      message: `the agent on ${seen.name} is held: ${to}`,
    }),
  ]
}

function rejectionEvents(seen: Seen): NewEvent[] {
  const from = seen.before?.rejected ?? null
  const to = seen.now.rejected
  if (JSON.stringify(from) === JSON.stringify(to)) return []
  if (to === null) {
    return [
      hostEvent(seen, {
        kind: 'state.accepted',
        cause: `was refused: ${from?.code}`,
        message: `${seen.name} no longer refuses what is published (${from?.code})`,
      }),
    ]
  }
  const { code, detail, epoch, generation } = to
  const what = generation === null ? 'what is published' : `generation ${generation}`
  return [
    hostEvent(seen, {
      kind: 'state.rejected',
      severity: 'error',
      cause: `${code}: ${detail}`,
      message: `${seen.name} refuses ${what}: ${code}: ${detail}`,
      detail: { code, epoch, generation },
    }),
  ]
}

function appliedEvent(seen: Seen): NewEvent[] {
  const from = seen.before?.applied ?? null
  const to = seen.now.applied
  if (to === null) return []
  if (from?.epoch === to.epoch && from.generation === to.generation) return []
  const { epoch, generation } = to
  const { counts, source } = seen.now
  const cause = source === 'control-plane' ? 'published' : `from ${source}`
  return [
    hostEvent(seen, {
      kind: 'state.applied',
      cause,
      message: `${seen.name} has generation ${generation} in force: ${counts.services} virtual services, ${counts.destinations} destinations`,
      detail: {
        epoch,
        generation,
        from: from === null ? null : { epoch: from.epoch, generation: from.generation },
        ...counts,
      },
    }),
  ]
}

function failureEvents(seen: Seen): NewEvent[] {
  const from = seen.before?.failedOpCount ?? 0
  const { failedOpCount: to, failedOps } = seen.now
  const [first] = failedOps
  const was = seen.before?.failedOps[0]
  if (to === 0 && from > 0) {
    return [
      hostEvent(seen, {
        kind: 'ops.recovered',
        cause: `${from} had failed`,
        message: `the kernel of ${seen.name} took everything that it had refused`,
      }),
    ]
  }
  if (to === 0 || (from === to && first?.op === was?.op && first?.code === was?.code)) return []
  const cause = first === undefined ? 'unknown' : `${first.op}: ${first.code} ${first.message}`
  return [
    hostEvent(seen, {
      kind: 'ops.failed',
      severity: 'error',
      cause,
      message: `the kernel of ${seen.name} does not take ${to} operations, such as ${cause}`,
      detail: { count: to, before: from },
    }),
  ]
}

/** The other conditions have kinds of their own. */
const TOLD = ['converged', 'mtu-too-small']

function conditionEvents(seen: Seen): NewEvent[] {
  const old = conditionsAt(seen, seen.before)
  return conditionsAt(seen, seen.now).flatMap((condition) => {
    const was = old.find(({ type }) => type === condition.type)?.status ?? false
    if (condition.status === was) return []
    const { type, status, message } = condition
    const isGood = status === (type === 'converged')
    return [
      hostEvent(seen, {
        kind: 'condition.changed',
        severity: isGood ? 'info' : 'warning',
        cause: message,
        message: `${seen.name}: ${type} is ${status}: ${message}`,
        detail: { condition: type, status },
      }),
    ]
  })
}

function conditionsAt(seen: Seen, report: StatusReport | null): Condition[] {
  const facts = {
    published: seen.published,
    report,
    now: seen.at,
    enrolled: true,
    quarantine: null,
  }
  const all = conditionsOf({ ...facts, reportReceivedAt: report === null ? null : seen.at })
  return all.filter(({ type }) => TOLD.includes(type))
}

function driftEvents(seen: Seen): NewEvent[] {
  const told = new Set(seen.before?.drift.map(({ at, op }) => `${at} ${op}`))
  const fresh = seen.now.drift.filter(({ at, op }) => !told.has(`${at} ${op}`))
  const events = fresh.map(({ at, op }) =>
    hostEvent(seen, {
      kind: 'drift.repaired',
      severity: 'warning',
      at: momentOf(at, seen.at),
      subject: op,
      cause: 'somebody else changed what the agent owns',
      message: `${seen.name} undid what somebody else changed: ${op}`,
      detail: { op },
    }),
  )
  // An identity that never reported may have repaired long ago.
  const count = seen.now.driftCount - (seen.before?.driftCount ?? seen.now.driftCount)
  const unnamed = count - fresh.length
  if (unnamed <= 0) return events
  const cause = `${unnamed} repairs that the report does not name`
  const message = `${seen.name} undid more than it names: ${cause}`
  const more = { kind: 'drift.repaired', severity: 'warning', cause, message } as const
  return [...events, hostEvent(seen, { ...more, detail: { count: unnamed } })]
}
