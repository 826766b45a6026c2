/**
 * The doctor of a running agent: finds once what the kernel can, and runs the cheap checks now and then. What
 * it finds rides in the next report. Nothing here may ever stop or delay forwarding: it only reads, apart from
 * the repair rounds, and a failure of its own is a log line.
 */
import { FINDINGS_MAX, type DoctorSummary } from '@lvs-fleet/contract'
import type { Agent } from '../agent.ts'
import { findCapabilities } from '../capabilities/capability-cache.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { Clock, Disk, Log } from '../ports.ts'
import type { HostFacts } from '../report.ts'
import { ALL_CHECKS } from './all-checks.ts'
import { examine } from './check.ts'
import { collectFacts } from './facts/collect.ts'
import type { DoctorPorts } from './ports.ts'
import { viewOf } from './view.ts'

/** After a start: by then states are programmed and the first report is out. */
const FIRST_MS = 5_000
const EVERY_MS = 5 * 60_000

export type RoundsDeps = {
  readonly agent: Agent
  readonly kernel: Kernel
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly doctor: DoctorPorts
  readonly stateDir: string
  /** Where the results go: the agent's snapshots read them. */
  readonly facts: HostFacts
  /** Something new is worth a report. */
  readonly onNews: () => void
}

/** Runs until `signal` aborts. */
export async function doctorRounds(deps: RoundsDeps, signal: AbortSignal): Promise<void> {
  const { clock, log, doctor, disk, facts } = deps
  await clock.sleep(FIRST_MS, signal)
  if (signal.aborted) return
  await guarded(log, 'finding out what the kernel can failed', async () => {
    facts.capabilities = await findCapabilities(disk, facts, () => doctor.probe(signal), log)
    deps.onNews()
  })
  while (!signal.aborted) {
    await guarded(log, 'the checks of the doctor failed', async () => {
      const before = JSON.stringify(facts.doctor)
      facts.doctor = await cheapSummary(deps)
      if (JSON.stringify(facts.doctor) !== before) deps.onNews()
    })
    await clock.sleep(EVERY_MS, signal)
  }
}

async function cheapSummary(deps: RoundsDeps): Promise<DoctorSummary> {
  const { agent, kernel, doctor, stateDir, facts } = deps
  const inspector = await doctor.openInspector()
  try {
    const state = viewOf(agent)
    const collected = await collectFacts(
      { kernel, inspector, reader: doctor.reader, stateDir },
      state,
      {
        depth: 'cheap',
        capabilities: facts.capabilities ?? null,
        clockSkewSeconds: null,
        paths: facts.paths ?? null,
      },
    )
    const findings = examine(ALL_CHECKS, { facts: collected, state: { ...state, pending: null } })
    return { findings: findings.slice(0, FINDINGS_MAX), findingCount: findings.length }
  } finally {
    inspector.close()
  }
}

async function guarded(log: Log, what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    log('warn', what, { error: error instanceof Error ? error.message : String(error) })
  }
}
