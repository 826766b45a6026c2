/**
 * Marks, timeouts and sync daemons: what is wanted and what leaves. Same rules as for the rest of the network
 * part: others' objects are left alone unless adopted, and an old value comes back when ours leaves.
 */
import { markKey, TIMEOUTS, type HostPart, type MarkState, type Op } from '@lvs-fleet/contract'
import { mayGo } from './depart-network.ts'
import {
  isSameDaemon,
  objectKey,
  type NetworkContext,
  type NetworkDraft,
  type ObservedHost,
} from './network-plan.ts'
import { conflict } from './want-network.ts'

/** In the order of making: timeouts, daemons; marks have a time of their own. */
export function wantIpvs(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: NetworkDraft,
): void {
  for (const timeout of desired.timeouts) wantTimeout(timeout, observed, context, draft)
  for (const daemon of desired.syncDaemons) wantDaemon(daemon, desired, observed, context, draft)
  for (const mark of desired.marks) wantMark(mark, desired, observed, context, draft)
}

export function departIpvs(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: NetworkDraft,
): void {
  departMarks(desired, observed, context, draft)
  departTimeouts(desired, observed, context, draft)
}

/** Daemons of ours that the state has no more: at once, since nothing drains through them. */
export function stopDaemons(
  desired: HostPart,
  observed: ObservedHost,
  { ledger }: NetworkContext,
  draft: NetworkDraft,
): void {
  const wanted = new Set(desired.syncDaemons.map(({ role }) => role))
  for (const daemon of ledger.syncDaemons.values()) {
    if (wanted.has(daemon.role)) continue
    const standing = observed.syncDaemons.find(({ role }) => role === daemon.role)
    // Gone already, or somebody put another one in its place.
    if (standing === undefined || !isSameDaemon(daemon, standing, observed.network)) {
      draft.gone.push(objectKey.sync(daemon.role))
    } else draft.adds.push({ kind: 'sync.stop', daemon })
  }
}

function wantTimeout(
  { name, seconds }: HostPart['timeouts'][number],
  observed: ObservedHost,
  { ledger }: NetworkContext,
  draft: NetworkDraft,
): void {
  const current = observed.timeouts?.[name]
  if (current === undefined || current === seconds) return
  draft.adds.push({ kind: 'timeout.set', name, from: current, to: seconds })
  const previous = ledger.timeouts.get(name)?.previous ?? current
  draft.claims.push({ kind: 'timeout', timeout: { name, previous, value: seconds } })
}

function wantDaemon(
  daemon: HostPart['syncDaemons'][number],
  desired: HostPart,
  observed: ObservedHost,
  { ledger }: NetworkContext,
  draft: NetworkDraft,
): void {
  const standing = observed.syncDaemons.find(({ role }) => role === daemon.role)
  const owned = ledger.syncDaemons.has(daemon.role)
  const start: Op = { kind: 'sync.start', daemon }
  if (standing !== undefined && !owned && !desired.adopt) {
    draft.conflicts.push(conflict(start, `a ${daemon.role} sync daemon`))
    return
  }
  const isSame = standing !== undefined && isSameDaemon(daemon, standing, observed.network)
  if (standing !== undefined && !isSame) draft.adds.push({ kind: 'sync.stop', daemon })
  if (!isSame) draft.adds.push(start)
  if (!isSame || !owned) draft.claims.push({ kind: 'sync', daemon })
}

function wantMark(
  mark: MarkState,
  desired: HostPart,
  observed: ObservedHost,
  { ledger }: NetworkContext,
  draft: NetworkDraft,
): void {
  const key = markKey(mark)
  const standing = observed.marks.find((candidate) => markKey(candidate) === key)
  const owned = ledger.marks.get(key)
  const op: Op = { kind: 'mark.set', mark, from: standing?.mark ?? null }
  if (standing !== undefined && owned === undefined && !desired.adopt) {
    draft.conflicts.push(conflict(op, `mark ${key}`))
    return
  }
  if (standing?.mark !== mark.mark) draft.marks.push(op)
  if (owned?.mark !== mark.mark) draft.claims.push({ kind: 'mark', mark })
}

/**
 * Connections that stand need no mark (the kernel looks for the connection first), only new ones do. So a mark
 * goes at once where the state has something else on its address, or new connections would go to a service that
 * drains; where nothing follows it stays until its service is gone, or they would reach the host itself.
 */
function departMarks(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: NetworkDraft,
): void {
  const wanted = new Set(desired.marks.map(markKey))
  const standing = new Set(observed.marks.map(markKey))
  const removals: Op[] = []
  for (const [key, mark] of context.ledger.marks) {
    if (wanted.has(key)) continue
    const name = objectKey.mark(mark)
    const op: Op = { kind: 'mark.remove', mark }
    if (!standing.has(key)) draft.gone.push(name)
    else if (context.wantsAddress(mark.address)) removals.push(op)
    else if (mayGo(name, context, draft) && !context.drainsAddress(mark.address)) {
      draft.removals.push(op)
    }
  }
  // Before what is set: a range that only grows overlaps its old self.
  draft.marks.unshift(...removals)
}

function departTimeouts(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: NetworkDraft,
): void {
  const wanted = new Set(desired.timeouts.map(({ name }) => name))
  for (const name of TIMEOUTS) {
    const owned = context.ledger.timeouts.get(name)
    if (owned === undefined || wanted.has(name)) continue
    const { previous, value } = owned
    const key = objectKey.timeout(name)
    // Somebody set it since: not ours to restore.
    if (observed.timeouts?.[name] !== value || previous === value) draft.gone.push(key)
    else if (mayGo(key, context, draft)) {
      draft.removals.push({ kind: 'timeout.set', name, from: value, to: previous })
    }
  }
}
