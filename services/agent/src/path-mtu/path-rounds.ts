/**
 * Measures the MTU of a director's paths, one after the other and each again every few minutes; one that is too narrow is asked
 * with a single datagram in between, so that its alarm ends soon after its cause. What it finds rides in the next report. It only sends datagrams: nothing here may ever stop or delay forwarding, and a failure of its
 * own is a log line.
 */
import type { Agent } from '../agent.ts'
import type { PathSockets } from '../kernel/path/path-sockets.ts'
import type { Clock, Log, Random } from '../ports.ts'
import type { HostFacts } from '../report.ts'
import { carriesComputedSize, measurePath } from './measure-path.ts'
import type { Verdict } from './next-step.ts'
import { PathResults, type Turn } from './path-results.ts'

/** After a start or a new state: real servers get their part of it too, and must be ready to answer. */
const FIRST_MS = 10_000
/** From one look at a narrow path to the next. Costs a datagram, which the real server answers only once all is well. */
const RECHECK_MS = 15_000
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
    const turn = results.next(paths, now)
    if (turn === undefined) await clock.sleep(LOOK_MS, signal)
    else {
      const verdict = await lookOrTell(deps, turn, signal)
      if (signal.aborted) return
      const then = clock.monotonicMs()
      const recheckMs = then + RECHECK_MS
      if (verdict === undefined) results.recheckAgain(turn.path, recheckMs)
      else {
        const dueMs = then + everyMs * (0.75 + random() / 2)
        results.set(turn.path, verdict, { dueMs, recheckMs })
      }
    }
    const report = results.report(paths)
    if (JSON.stringify(report) === JSON.stringify(facts.paths ?? null)) continue
    facts.paths = report
    deps.onNews()
  }
}

/** Undefined where a narrow path is not known to be mended. */
async function lookOrTell(
  deps: PathRoundsDeps,
  { path, isRecheck }: Turn,
  signal: AbortSignal,
): Promise<Verdict | undefined> {
  try {
    if (!isRecheck) return await measurePath(deps, path, signal)
    return (await carriesComputedSize(deps, path)) ? { is: 'fits' } : undefined
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    deps.log('warn', 'a path cannot be measured', { path: path.realServer, error: why })
    return isRecheck ? undefined : { is: 'unknown' }
  }
}
