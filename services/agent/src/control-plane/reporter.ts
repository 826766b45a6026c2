/**
 * Numbers reports and keeps a number on disk that none has reached, so that no report of a later life looks older
 * than one before; it is written once in many reports. A report goes by itself, or with a poll that is due anyway.
 */
import type { StatusReport } from '@lvs-fleet/contract'
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

/** A report on its way; it counts as sent until it is known that it was not. */
export type DueReport = {
  readonly report: StatusReport
  settle(isDelivered: boolean): void
}

export type Reporter = {
  /** What is to be reported, because something changed or it is time; undefined = nothing. */
  take(snapshot: Snapshot): Promise<DueReport | undefined>
  /** Sends what `take` gives. */
  send(snapshot: Snapshot, signal?: AbortSignal): Promise<'delivered' | 'refused' | 'nothing new'>
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

  const number = async ({ driftCount }: Snapshot): Promise<number> => {
    const own = ++seq
    if (own > saved.seq || driftCount !== saved.driftCount) {
      const next: Counters = { seq: Math.max(saved.seq, own + SEQ_BLOCK), driftCount }
      await saveCounters(disk, next)
      saved = next
    }
    return own
  }

  const take = async (snapshot: Snapshot): Promise<DueReport | undefined> => {
    const fingerprint = fingerprintOf(snapshot)
    const nowMs = clock.monotonicMs()
    if (fingerprint === sent && nowMs - sentAtMs < repeatMsOf(snapshot)) return undefined
    sent = fingerprint
    sentAtMs = nowMs
    const settle = (isDelivered: boolean): void => {
      // Unless another one was sent since, which says more.
      if (!isDelivered && sent === fingerprint) sent = ''
    }
    try {
      return { report: { seq: await number(snapshot), ...snapshot }, settle }
    } catch (error) {
      settle(false)
      throw error
    }
  }

  return {
    take,
    async send(snapshot, signal) {
      const due = await take(snapshot)
      if (due === undefined) return 'nothing new'
      let isDelivered = false
      try {
        const answer = await controlPlane.report(due.report, signal)
        isDelivered = answer.is === 'taken'
        if (answer.is === 'refused') log('warn', 'report refused', { detail: answer.detail })
      } finally {
        due.settle(isDelivered)
      }
      return isDelivered ? 'delivered' : 'refused'
    },
  }
}

function repeatMsOf({ drainCount, health }: Snapshot): number {
  if (drainCount > 0) return DRAIN_REPEAT_MS
  return (health?.counts.down ?? 0) > 0 ? DOWN_REPEAT_MS : REPEAT_MS
}
