/**
 * When the agent does what. Kernel rounds, polling and reporting run apart, so that a control plane that
 * hangs never delays a repair. A stop leaves the kernel as it is.
 */
import type { Agent } from './agent.ts'
import type { ControlPlane } from './control-plane/client.ts'
import { createPoller } from './control-plane/poll-loop.ts'
import type { DueReport, Reporter } from './control-plane/reporter.ts'
import { backoffMs } from './control-plane/backoff.ts'
import type { Kernel } from './kernel/kernel.ts'
import { logRound, STATE_APPLIED } from './log-round.ts'
import { createNudge, type Nudge } from './nudge.ts'
import type { Clock, Log, Random } from './ports.ts'
import type { RoundResult } from './reconcile/world.ts'
import { HARMLESS_AFTER_MS } from './state/boot-counter.ts'
import type { StatusFile } from './status-file.ts'
import type { HealthSource } from './weigh/health.ts'

const VERIFY_MIN_MS = 2_000
const VERIFY_MAX_MS = 10_000
/** A verify round may take a twentieth of the time, the kernel's share included. */
const VERIFY_COST_FACTOR = 20
const DRAIN_MS = 1_000
const RELEASE_MS = 1_000
/** Between two looks at the network after it told us of changes. */
const NETWORK_SPACING_MS = 250

/** Runs until the signal aborts. */
export type Background = (onNews: () => void, signal: AbortSignal) => Promise<void>

export type LoopDeps = {
  readonly agent: Agent
  readonly kernel: Pick<Kernel, 'onNetworkChange'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly status: StatusFile
  /** Asked every second, and after a state was applied. */
  readonly releaseMemory?: (round?: { readonly ops: number }) => void
  /** Who is down gets no connections as soon as it is known. */
  readonly health?: Pick<HealthSource, 'subscribe'>
  /** Work beside the rounds, which says when a report is due. */
  readonly background?: readonly Background[]
  /** Absent when the host is not enrolled: it runs on what it has. */
  readonly controlPlane?: { readonly client: ControlPlane; readonly reporter: Reporter }
}

/** Runs until `signal` aborts. */
export async function runLoop(deps: LoopDeps, signal: AbortSignal): Promise<void> {
  const reports = createNudge()
  const work = [rounds(deps, reports.nudge, signal)]
  for (const run of deps.background ?? []) work.push(run(reports.nudge, signal))
  if (deps.releaseMemory !== undefined)
    work.push(releaseRounds(deps.releaseMemory, deps.clock, signal))
  if (deps.controlPlane !== undefined) {
    const { client, reporter } = deps.controlPlane
    const poller = createPoller({
      ...deps,
      controlPlane: client,
      takeReport: () => takeReport(deps.agent, reporter, reports.nudge),
      onOffer: (offer, isFollowed) => {
        if (!isFollowed) reports.nudge()
        if (offer.is !== 'applied') return
        logRound(deps.log, STATE_APPLIED, offer.round, deps.agent)
        deps.releaseMemory?.(offer.round)
      },
    })
    work.push(poller.run(signal), reportLoop(deps, reporter, reports, signal))
  }
  await Promise.all(work)
}

/** Thousands of checks a second leave much behind between two rounds. */
async function releaseRounds(release: () => void, clock: Clock, signal: AbortSignal) {
  while (!signal.aborted) {
    await clock.sleep(RELEASE_MS, signal)
    release()
  }
}

async function rounds(deps: LoopDeps, changed: () => void, signal: AbortSignal): Promise<void> {
  const { agent, kernel, clock, log, status } = deps
  const wake = createNudge()
  let networkChanged = false
  const unsubscribe = kernel.onNetworkChange(() => {
    // One word of many: a network that changes all the time is looked at now and then.
    if (!networkChanged) wake.nudge()
    networkChanged = true
  })
  deps.health?.subscribe(wake.nudge)
  const startedMs = clock.monotonicMs()
  let isHarmless = false
  let verifyAtMs = startedMs + VERIFY_MIN_MS
  let networkAtMs = startedMs
  const look = async (): Promise<void> => {
    const now = clock.monotonicMs()
    if (!isHarmless && now - startedMs >= HARMLESS_AFTER_MS) {
      isHarmless = true
      await agent.markHarmless()
    }
    const resumed = await agent.resume()
    if (resumed?.is === 'applied') logRound(log, STATE_APPLIED, resumed.round, agent)
    logRound(log, 'weights', await agent.weighRound(), agent)
    if (agent.hasDrains) logRound(log, 'drain', await agent.drainRound(), agent)
    if (now >= verifyAtMs) {
      logVerify(log, await agent.verifyRound(), agent)
      const doneMs = clock.monotonicMs()
      const costMs = doneMs - now
      verifyAtMs =
        doneMs + Math.min(VERIFY_MAX_MS, Math.max(VERIFY_MIN_MS, costMs * VERIFY_COST_FACTOR))
    } else if (now >= networkAtMs && networkChanged) {
      networkChanged = false
      logVerify(log, await agent.networkRound(), agent)
      networkAtMs = clock.monotonicMs() + NETWORK_SPACING_MS
    }
  }
  try {
    while (!signal.aborted) {
      wake.take()
      try {
        await look()
        await status.save(agent.snapshot())
      } catch (error) {
        // A full disk, or a bug in one round: the kernel stays as it is, and the next round tries again.
        log('error', 'round failed', {
          error: error instanceof Error ? error.stack : String(error),
        })
        verifyAtMs = clock.monotonicMs() + VERIFY_MIN_MS
        await clock.sleep(DRAIN_MS, signal)
      }
      changed()
      const dueMs = networkChanged ? Math.min(verifyAtMs, networkAtMs) : verifyAtMs
      const waitMs = Math.min(DRAIN_MS, Math.max(dueMs - clock.monotonicMs(), 0))
      await wake.wait(waitMs, clock, signal)
    }
  } finally {
    unsubscribe()
  }
}

/** For a poll that takes it along; one that does not arrive goes by itself. */
async function takeReport(
  agent: Agent,
  reporter: Reporter,
  onLost: () => void,
): Promise<DueReport | undefined> {
  const snapshot = agent.snapshot()
  const due = await reporter.take(snapshot)
  if (due === undefined) return undefined
  const settle = (isDelivered: boolean): void => {
    due.settle(isDelivered)
    if (isDelivered) agent.noteReported(snapshot)
    else onLost()
  }
  return { ...due, settle }
}

async function reportLoop(
  deps: LoopDeps,
  reporter: Reporter,
  reports: Nudge,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0
  while (!signal.aborted) {
    reports.take()
    try {
      const snapshot = deps.agent.snapshot()
      const outcome = await reporter.send(snapshot, signal)
      if (outcome === 'delivered') deps.agent.noteReported(snapshot)
      failures = outcome === 'refused' ? failures + 1 : 0
    } catch (error) {
      if (signal.aborted) return
      failures++
      if (failures === 1) deps.log('warn', 'report not delivered', { error: String(error) })
    }
    if (failures > 0) await deps.clock.sleep(backoffMs(failures, deps.random), signal)
    else await reports.wait(60_000, deps.clock, signal)
  }
}

function logVerify(log: Log, round: RoundResult, agent: Agent): void {
  // What is not drift was left over: a failed op tried again, an address whose linger is over.
  logRound(log, round.drift > 0 ? 'drift repaired' : 'unfinished work taken up', round, agent)
}
