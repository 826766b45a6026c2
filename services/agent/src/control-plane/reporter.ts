/** Numbers reports and keeps the number on disk, so that no report of a later life looks older than one before. */
import * as z from 'zod'
import { loadSealedJson, saveSealedJson } from '../disk/sealed.ts'
import type { Clock, Disk, Log } from '../ports.ts'
import { fingerprintOf, type Snapshot } from '../report.ts'
import type { ControlPlane } from './client.ts'

const FILE = 'counters.json'
/** An unchanged report is sent again after this, as a sign of life with content. */
const REPEAT_MS = 5 * 60_000
/** While destinations drain, their remaining time is worth a report this often. */
const DRAIN_REPEAT_MS = 10_000

const countersSchema = z.object({ seq: z.int().min(0), driftCount: z.int().min(0) })
export type Counters = z.infer<typeof countersSchema>

export async function loadCounters(disk: Disk): Promise<Counters> {
  const parsed = countersSchema.safeParse(await loadSealedJson(disk, FILE))
  return parsed.success ? parsed.data : { seq: 0, driftCount: 0 }
}

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
  let sent = ''
  let sentAtMs = Number.NEGATIVE_INFINITY
  return {
    async send(snapshot, signal) {
      const fingerprint = fingerprintOf(snapshot)
      const repeatMs = snapshot.drainCount > 0 ? DRAIN_REPEAT_MS : REPEAT_MS
      if (fingerprint === sent && clock.monotonicMs() - sentAtMs < repeatMs) return true
      seq++
      await saveSealedJson(disk, FILE, { seq, driftCount: snapshot.driftCount } satisfies Counters)
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
