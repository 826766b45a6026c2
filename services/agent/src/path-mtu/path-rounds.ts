/**
 * Measures the MTU of a director's paths, one after the other and each again every few minutes. What it finds rides in
 * the next report. It only sends datagrams: nothing here may ever stop or delay forwarding, and a failure of its
 * own is a log line.
 */
import type { PathState } from '@lvs-fleet/contract'
import type { Agent } from '../agent.ts'
import type { PathSockets } from '../kernel/path/path-sockets.ts'
import type { Clock, Log, Random } from '../ports.ts'
import type { HostFacts } from '../report.ts'
import { measurePath } from './measure-path.ts'
import type { Verdict } from './next-step.ts'
import { PathResults } from './path-results.ts'

/** After a start or a new state: real servers get their part of it too, and must be ready to answer. */
const FIRST_MS = 10_000
/** How often new paths are looked for, and whether one is due. */
const LOOK_MS = 1_000

export type PathRoundsDeps = {
  readonly agent: Pick<Agent, 'standingPaths'>
  readonly sockets: PathSockets
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Seconds from one measuring of a path to its next, give or take a quarter. */
  readonly everySeconds: number
  /** Where the results go: the agent's snapshots read them. */
  readonly facts: HostFacts
  /** Something new is worth a report. */
  readonly onNews: () => void
}

/** Runs until `signal` aborts. */
export async function pathRounds(deps: PathRoundsDeps, signal: AbortSignal): Promise<void> {
  const { agent, clock, random, facts } = deps
  const results = new PathResults()
  const everyMs = deps.everySeconds * 1_000
  const spreadMs = Math.min(everyMs, FIRST_MS)
  while (!signal.aborted) {
    // NAT adds nothing to a packet.
    const paths = agent.standingPaths().filter(({ forwarding }) => forwarding.method !== 'nat')
    const now = clock.monotonicMs()
    results.follow(paths, () => now + spreadMs * (0.5 + random()))
    const path = results.next(paths, now)
    if (path === undefined) await clock.sleep(LOOK_MS, signal)
    else {
      const verdict = await measureOrTell(deps, path, signal)
      if (signal.aborted) return
      results.set(path, verdict, clock.monotonicMs() + everyMs * (0.75 + random() / 2))
    }
    const report = results.report(paths)
    if (JSON.stringify(report) === JSON.stringify(facts.paths ?? null)) continue
    facts.paths = report
    deps.onNews()
  }
}

async function measureOrTell(
  deps: PathRoundsDeps,
  path: PathState,
  signal: AbortSignal,
): Promise<Verdict> {
  try {
    return await measurePath(deps, path, signal)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    deps.log('warn', 'a path cannot be measured', { path: path.realServer, error: why })
    return { is: 'unknown' }
  }
}
