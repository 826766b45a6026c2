/**
 * Numbers reports and keeps a number on disk that none has reached, so that no report of a later life looks older
 * than one before; it is written once in many reports.
 */
import type { Clock, Disk, Log } from '../ports.ts'
import { fingerprintOf, type Snapshot } from '../report.ts'
import type { ControlPlane } from './client.ts'
import { saveCounters, type Counters } from './counters.ts'

/** An unchanged report is sent again after this, as a sign of life with content. */
const REPEAT_MS = 5 * 60_000
/** While destinations drain, their remaining time is worth a report this often. */
const DRAIN_REPEAT_MS = 10_000
/** While something is down, other directors count on what this one sees: see status/quorum.ts of the API. */
const DOWN_REPEAT_MS = 60_000
/** Numbers taken from the disk at a time; a life that ends leaves the rest unused. */
const SEQ_BLOCK = 100

export type Reporter = {
  /** Sends when something changed or is due; false when it could not be delivered. */
  send(snapshot: Snapshot, signal?: AbortSignal): Promise<boolean>
}

export function createReporter(deps: {
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly controlPlane: Pick<ControlPlane, 'report'>
  readonly counters: Counters
}): Reporter {
  const { disk, clock, log, controlPlane } = deps
  let { seq } = deps.counters
  let saved = deps.counters
  let sent = ''
  let sentAtMs = Number.NEGATIVE_INFINITY
  return {
    async send(snapshot, signal) {
      const fingerprint = fingerprintOf(snapshot)
      const repeatMs = repeatMsOf(snapshot)
      if (fingerprint === sent && clock.monotonicMs() - sentAtMs < repeatMs) return true
      seq++
      const { driftCount } = snapshot
      if (seq > saved.seq || driftCount !== saved.driftCount) {
        const next: Counters = { seq: Math.max(saved.seq, seq + SEQ_BLOCK), driftCount }
        await saveCounters(disk, next)
        saved = next
      }
      const answer = await controlPlane.report({ seq, ...snapshot }, signal)
      if (answer.is === 'refused') {
        log('warn', 'report refused', { detail: answer.detail })
        return false
      }
      sent = fingerprint
      sentAtMs = clock.monotonicMs()
      return true
    },
  }
}

function repeatMsOf({ drainCount, health }: Snapshot): number {
  if (drainCount > 0) return DRAIN_REPEAT_MS
  return (health?.counts.down ?? 0) > 0 ? DOWN_REPEAT_MS : REPEAT_MS
}
