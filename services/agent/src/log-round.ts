/** What a round did, as one line of the log. */
import type { Agent } from './agent.ts'
import type { Log } from './ports.ts'
import type { RoundResult } from './reconcile/world.ts'

/** The one line that is written even when there was nothing to do. */
export const STATE_APPLIED = 'state applied'

/** One line a round, and only when it did something; with what failed, as far as a line holds it. */
export function logRound(
  log: Log,
  what: string,
  round: RoundResult,
  agent: Pick<Agent, 'version' | 'snapshot'>,
): void {
  if (round.ops === 0 && round.failed === 0 && what !== STATE_APPLIED) return
  const { epoch, generation } = agent.version ?? { epoch: 0, generation: 0 }
  const failures = round.failed === 0 ? [] : agent.snapshot().failedOps.slice(0, 3)
  log(round.failed > 0 ? 'warn' : 'info', what, {
    epoch,
    generation,
    ...round,
    ...(failures.length === 0
      ? {}
      : { first: failures.map((f) => `${f.op}: ${f.code}: ${f.message}`) }),
  })
}
