/**
 * publish: the only way that intent changes. Takes a pure change of the fleet; in one transaction it
 * checks the result, compiles it, and writes intent, revision, audit event and the states of the hosts that
 * it touches. A dry run does all of that but the writing. Writers go one at a time, over all processes.
 */
import { trespasses } from '../access/belongs.ts'
import type { Scope } from '../access/grant.ts'
import { splitKernelProblems } from '../compile/check-kernels.ts'
import { compileFleet, type Compiled, type CompiledHost } from '../compile/compile.ts'
import { ApiError } from '../errors.ts'
import { deadlineProblems, signDrains } from '../intent/drain-rules.ts'
import type { Fleet } from '../intent/fleet.ts'
import { expiryProblems, signOverrides, verdictProblems } from '../intent/override-rules.ts'
import type { Problem } from '../intent/problem.ts'
import { validateFleet } from '../intent/validate.ts'
import { intentEvents } from '../status/events/intent-events.ts'
import { insertAuditLine, type AuditEvent } from '../store/audit-store.ts'
import { lockPublish, notifyChange, updateEpoch } from '../store/controller-store.ts'
import { isOvertaken, type Queryable, type Tx } from '../store/database.ts'
import { appendEvents } from '../store/event-store.ts'
import { loadDirectorKernels, revokeIdentity } from '../store/host-store.ts'
import { insertRevision, writeObjects, type Change } from '../store/intent-store.ts'
import { writeShards, writeStates, type PublishedState } from '../store/state-store.ts'
import { applyDiff, diffIntent, summarize, type IntentDiff } from './changes.ts'
import type { Deps } from './deps.ts'
import { changedHosts, type HostChange } from './host-changes.ts'
import { makeSnapshot, objectKey, type Snapshot } from './live-fleet.ts'
import { nextState } from './next-state.ts'
import { shareUnchanged } from './shard-host.ts'
import { ERRORS_MAX, invalidFleet } from './refusals.ts'

export type PublishRequest = {
  readonly actor: string
  readonly action: string
  /** What the operator is bound to: a change beyond it is refused. null or undefined = nothing. */
  readonly scope?: Scope | null
  readonly dryRun?: boolean
  readonly allowShrink?: boolean
  /** Publish every host anew, above all that was published before. */
  readonly newEpoch?: boolean
  /** Publish what stands in an older format, though the intent is the same. */
  readonly republish?: boolean
  /** The fleet as it is to be; throws ApiError to refuse. Pure: it may run twice. */
  readonly change: (held: Snapshot) => Fleet
  /** How problems of the new fleet are told; by default as 422 with pointers into the fleet document. */
  readonly refuse?: (problems: readonly Problem[]) => ApiError
  /** More to do in the same transaction, once the new fleet is accepted. */
  readonly alongside?: (tx: Tx, next: Snapshot) => Promise<void>
}

export type Published = {
  /** The fleet's revision afterwards; the same as before when nothing changed, or in a dry run. */
  readonly revision: number
  readonly changes: readonly Change[]
  readonly hosts: readonly HostChange[]
  readonly warnings: readonly Problem[]
  readonly snapshot: Snapshot
}

type Planned = {
  readonly at: Date
  readonly held: Snapshot
  readonly epoch: number
  readonly fleet: Fleet
  readonly diff: IntentDiff
  readonly compiled: Compiled
  readonly hosts: readonly HostChange[]
}

export async function publish(deps: Deps, request: PublishRequest): Promise<Published> {
  const result = deps.live.exclusive(() =>
    request.dryRun === true ? dryRun(deps, request) : write(deps, request),
  )
  if (result === undefined) {
    throw new ApiError('busy', 'too many changes are waiting; try again', {
      headers: { 'retry-after': '1' },
    })
  }
  return result
}

async function dryRun(deps: Deps, request: PublishRequest): Promise<Published> {
  const planned = await plan(deps, deps.database.db, await deps.live.refresh(), request)
  const objects = applyDiff(planned.held, planned.diff)
  const snapshot = makeSnapshot(planned.held, objects, planned.held.states)
  return published(planned, snapshot)
}

async function write(deps: Deps, request: PublishRequest): Promise<Published> {
  let planned: Planned | undefined
  let next: Snapshot | undefined
  try {
    await deps.database.db.transaction(async (tx) => {
      await lockPublish(tx)
      await deps.controllerKeys.refresh(tx)
      planned = await plan(deps, tx, await deps.live.refresh(tx), request)
      next =
        planned.diff.changes.length + planned.hosts.length === 0
          ? planned.held
          : await store(deps, tx, planned, request)
      await request.alongside?.(tx, next)
      // Last, because whoever appends to the audit trail or to the events makes all others wait.
      if (next !== planned.held) await tell(tx, planned, next, request)
    })
  } catch (error) {
    if (isOvertaken(error)) {
      throw new ApiError('busy', 'another change is in the way; try again', {
        cause: error,
        headers: { 'retry-after': '1' },
      })
    }
    if (!(error instanceof ApiError)) deps.live.markStale()
    throw error
  }
  if (planned === undefined || next === undefined)
    throw new Error('the transaction ended without a result')
  if (next !== planned.held) deps.live.advance(next, planned.compiled)
  return published(planned, next)
}

function published(planned: Planned, snapshot: Snapshot): Published {
  const { diff, hosts, compiled } = planned
  return {
    revision: snapshot.revision,
    changes: diff.changes,
    hosts,
    warnings: compiled.warnings,
    snapshot,
  }
}

/** Everything that is decided; writes nothing. */
async function plan(
  deps: Deps,
  db: Queryable,
  held: Snapshot,
  request: PublishRequest,
): Promise<Planned> {
  const at = deps.now()
  const changed = signOverrides(request.change(held), request.actor)
  const fleet = signDrains(changed, request.actor)
  const diff = diffIntent(held, fleet, { revision: held.revision + 1, at })
  const before = deps.live.compiled(held)
  const epoch = held.epoch + (request.newEpoch === true ? 1 : 0)
  if (diff.changes.length === 0 && epoch === held.epoch && request.republish !== true)
    return { at, held, epoch, fleet: held.fleet, diff, compiled: before, hosts: [] }
  refuseTrespass(request.scope ?? null, held.fleet, fleet, diff)
  const refuse = request.refuse ?? invalidFleet
  const written = new Set(diff.standing.map(({ spec }) => spec))
  const overrides = fleet.overrides.filter((one) => written.has(one))
  const drains = fleet.drains.filter((one) => written.has(one))
  const problems = [
    ...validateFleet(fleet),
    ...expiryProblems(overrides, at),
    ...verdictProblems(overrides, request.actor),
    ...deadlineProblems(drains, at),
  ]
  if (problems.length > 0) throw refuse(problems)
  const fresh = shareUnchanged(before, compileFleet(fleet))
  const kernels = await kernelsAgainst(db, before, fresh)
  const wrong = [...fresh.problems, ...kernels.problems]
  if (wrong.length > 0) throw refuse(wrong)
  const compiled = { ...fresh, warnings: [...fresh.warnings, ...kernels.warnings] }
  const objects = applyDiff(held, diff)
  const idOf = (host: CompiledHost) => objects.get(objectKey(host.role, host.name))?.id ?? ''
  const hosts = await changedHosts(db, { held, before, after: compiled, epoch, idOf })
  if (request.dryRun !== true && request.allowShrink !== true) refuseShrink(hosts)
  return { at, held, epoch, fleet, diff, compiled, hosts }
}

/** Only hosts that this change touches are held against their kernels: what stood before is not its fault. */
async function kernelsAgainst(db: Queryable, before: Compiled, after: Compiled) {
  const touched = [...after.hosts].filter(
    ([key, { state }]) => before.hosts.get(key)?.state !== state,
  )
  const old = touched.flatMap(([key]) => before.hosts.get(key) ?? [])
  const now = touched.map(([, host]) => host)
  return splitKernelProblems(old, now, await loadDirectorKernels(db))
}

/** Before anything is said of what else may be wrong: that may tell of what is not the operator's. */
function refuseTrespass(scope: Scope | null, before: Fleet, after: Fleet, diff: IntentDiff): void {
  if (scope === null) return
  const found = trespasses(scope, before, after, diff.changes)
  const first = found[0]
  if (first === undefined) return
  const errors = found.slice(0, ERRORS_MAX).map(({ kind, name, why }) => ({
    pointer: '',
    code: 'out-of-scope',
    message: why,
    object: `${kind}/${name}`,
  }))
  const more = found.length > 1 ? ` (and ${found.length - 1} more)` : ''
  throw new ApiError('forbidden', `${first.kind} ${first.name} ${first.why}${more}`, { errors })
}

function refuseShrink(hosts: readonly HostChange[]): void {
  const held = hosts.filter((host) => host.shrink.held)
  if (held.length === 0) return
  const lines = held.slice(0, ERRORS_MAX).map(({ key, shrink }) => ({
    pointer: '',
    object: key,
    code: 'shrink-held',
    message: shrink.detail,
  }))
  throw new ApiError(
    'shrink-held',
    `${held.length} host(s) would lose too much, such as ${held[0]?.key ?? ''}: ${held[0]?.shrink.detail ?? ''}. ` +
      'Look at it with ?dryRun=true, and allow it with ?allowShrink=true if it is meant',
    { errors: lines },
  )
}

function auditEventOf(planned: Planned, next: Snapshot, request: PublishRequest): AuditEvent {
  const { at, diff, hosts } = planned
  const { actor, action } = request
  return {
    at,
    actor,
    action,
    subject: summaryOf(planned).slice(0, 500),
    revision: next.revision,
    detail: {
      changes: diff.changes.length,
      hosts: hosts.length,
      allowShrink: request.allowShrink === true,
    },
  }
}

async function store(
  deps: Deps,
  tx: Tx,
  planned: Planned,
  request: PublishRequest,
): Promise<Snapshot> {
  const { at, held, epoch, diff, hosts } = planned
  const revision = held.revision + 1
  const { actor, action } = request
  const summary = summaryOf(planned)
  if (epoch !== held.epoch) await updateEpoch(tx, epoch)
  await insertRevision(tx, { number: revision, at, actor, action, summary, changes: diff.changes })
  await writeObjects(tx, revision, diff)
  const objects = applyDiff(held, diff)
  const states = new Map(held.states)
  const written: PublishedState[] = []
  const bodies = new Map<string, string>()
  for (const host of hosts) {
    const state = await nextState(deps.controllerKeys.signer, host, {
      revision,
      epoch,
      at,
      objects,
      allowShrink: request.allowShrink === true,
    })
    written.push(state)
    states.set(host.key, state)
    const known = new Set(host.published?.shards.map((shard) => shard.digest))
    for (const { digest, body } of host.next?.shards ?? []) {
      deps.live.shards.set(digest, body)
      // A shard that the host's published state lists cannot have been cleaned up.
      if (host.published?.removedAt !== null || !known.has(digest)) bodies.set(digest, body)
    }
  }
  await writeShards(tx, bodies, at)
  await writeStates(tx, written)
  for (const state of written) {
    if (state.removedAt === null) continue
    const identity = await revokeIdentity(tx, state, at)
    if (identity !== undefined) deps.sessions.clear()
  }
  await notifyChange(tx)
  return { revision, epoch, fleet: planned.fleet, objects, states }
}

async function tell(
  tx: Tx,
  planned: Planned,
  next: Snapshot,
  request: PublishRequest,
): Promise<void> {
  const { at, diff, hosts } = planned
  const { actor, action } = request
  const { revision } = next
  await insertAuditLine(tx, auditEventOf(planned, next, request))
  const change = { actor, action, revision, at, summary: summaryOf(planned), changes: diff.changes }
  await appendEvents(tx, intentEvents({ ...change, hostCount: hosts.length }), at)
}

function summaryOf({ epoch, held, diff, hosts }: Planned): string {
  if (epoch !== held.epoch) return `new epoch ${epoch}`
  return diff.changes.length === 0
    ? `${hosts.length} hosts published anew`
    : summarize(diff.changes)
}
