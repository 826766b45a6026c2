/**
 * Brings published states to the agent for as long as it runs. Errors change nothing in the kernel: they only
 * make the next try later, with full jitter. What was refused for good is not fetched again until it changes.
 */
import type { Rejection } from '@lvs-fleet/contract'
import type { Offer, OfferOptions } from '../agent.ts'
import type { Clock, Log, Random } from '../ports.ts'
import type { Version } from '../state/candidate.ts'
import { backoffMs } from './backoff.ts'
import type { ControlPlane, Poll, PollAnswer } from './client.ts'
import type { DueReport } from './reporter.ts'

const WAIT_SECONDS = 50
/**
 * From the start of a poll to that of the next, whatever the server says: a broken one must not make a hot loop. One that was
 * kept waiting is followed at once, so that a second change does not wait for the first.
 */
const SPACING_MIN_MS = 250
const NOT_PUBLISHED_MS = 3_000
const QUARANTINED_MS = 60_000
/** A held state may be allowed without a new generation: look at it again this often. */
const HELD_REFETCH_MS = 60_000
/** Once an hour the whole document is fetched and verified, so that the way out of a disaster is always used. */
const FULL_REFETCH_MS = 3_600_000

export type Receiver = {
  readonly version: Version | null
  readonly rejection: Rejection | null
  offer(lines: AsyncIterable<string>, options: OfferOptions): Promise<Offer>
  reject(rejection: Rejection): Offer
  /** The control plane answered with a state, or that there is no newer one. */
  noteContact(): void
}

export type PollerDeps = {
  readonly controlPlane: Pick<ControlPlane, 'poll'>
  readonly agent: Receiver
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** The report that is due; absent where none is to travel with a poll. */
  readonly takeReport?: () => Promise<DueReport | undefined>
  /** Hears each answer, so that a report can follow; `isFollowed`: the next poll comes soon and takes it along. */
  onOffer(offer: Offer, isFollowed: boolean): void
}

export type Poller = {
  /** One poll; gives how long to wait before the next. */
  once(waitSeconds: number, signal?: AbortSignal): Promise<number>
  run(signal: AbortSignal): Promise<void>
}

export function createPoller(deps: PollerDeps): Poller {
  const { controlPlane, agent, clock, random, log } = deps
  let etag: string | undefined
  let failures = 0
  let isUnpublished = false
  let isQuarantined = false
  let fullAtMs = clock.monotonicMs() + FULL_REFETCH_MS
  let heldAtMs = 0
  /** A state came into force, and nobody else is to report it. */
  let isReportDue = false

  const takeReport = async (): Promise<DueReport | undefined> => {
    try {
      return await deps.takeReport?.()
    } catch (error) {
      // A full disk gives no number: the poll goes on, and the report is tried again by itself.
      log('warn', 'report not taken along', { error: String(error) })
      return undefined
    }
  }

  const ask = async (poll: Poll): Promise<PollAnswer> => {
    const takesReport = isReportDue && poll.etag !== undefined
    isReportDue = false
    const due = takesReport ? await takeReport() : undefined
    let isDelivered = false
    try {
      const answer = await controlPlane.poll({ ...poll, report: due?.report })
      isDelivered = answer.is !== 'refused'
      return answer
    } finally {
      due?.settle(isDelivered)
    }
  }

  const fetchAndOffer = async (
    waitSeconds: number,
    whole: boolean,
    signal: AbortSignal | undefined,
  ): Promise<{ offer: Offer | undefined; waitMs: number }> => {
    const startedMs = clock.monotonicMs()
    const answer = await ask({
      // After a failure it is heard at once that the control plane is back, and with it what a quorum says.
      waitSeconds: whole || failures > 0 ? 0 : waitSeconds,
      have: whole ? null : agent.version,
      etag: whole ? undefined : etag,
      ...(signal === undefined ? {} : { signal }),
    })
    if (answer.is === 'refused') {
      if (answer.code === 'not-published') {
        // Enrolled, but nothing is meant for this host yet: no fault, so no backing off to half a minute.
        if (!isUnpublished) log('info', 'nothing is published for this host yet')
        isUnpublished = true
        failures = 0
        return { offer: undefined, waitMs: NOT_PUBLISHED_MS * (0.5 + random()) }
      }
      if (answer.code === 'quarantined') {
        // Two hosts with one key: an operator decides. What is in force stays in force.
        if (!isQuarantined)
          log('error', 'quarantined: forwarding goes on', { detail: answer.detail })
        isQuarantined = true
        return { offer: undefined, waitMs: QUARANTINED_MS * (0.5 + random()) }
      }
      failures++
      log('warn', 'control plane refused the poll', { detail: answer.detail, failures })
      return { offer: undefined, waitMs: backoffMs(failures, random, answer.retryAfterMs) }
    }
    isUnpublished = false
    agent.noteContact()
    isQuarantined = false
    if (answer.is === 'unchanged') {
      failures = 0
      return { offer: undefined, waitMs: spacing(answer.pollSeconds, startedMs) }
    }
    const offer = await agent.offer(answer.lines, { source: 'control-plane' })
    if (offer.is !== 'incomplete') etag = answer.etag
    if (offer.is !== 'rejected') failures = 0
    return { offer, waitMs: spacing(answer.pollSeconds, startedMs) }
  }

  /** Interval polls are spread by a tenth, so that a fleet that started together drifts apart. */
  const spacing = (pollSeconds: number, startedMs: number): number => {
    const least = SPACING_MIN_MS - (clock.monotonicMs() - startedMs)
    return Math.max(0, least, pollSeconds * 1_000 * (0.9 + 0.2 * random()))
  }

  const isWholeDue = (): boolean => {
    const now = clock.monotonicMs()
    if (now >= fullAtMs) {
      fullAtMs = now + FULL_REFETCH_MS
      return true
    }
    if (agent.rejection?.code !== 'shrink-held' || now < heldAtMs) return false
    heldAtMs = now + HELD_REFETCH_MS
    return true
  }

  const once = async (waitSeconds: number, signal?: AbortSignal): Promise<number> => {
    let { offer, waitMs } = await fetchAndOffer(waitSeconds, isWholeDue(), signal)
    if (offer?.is === 'incomplete') {
      const again = await fetchAndOffer(0, true, signal)
      waitMs = again.waitMs
      offer = again.offer?.is === 'incomplete' ? agent.reject(again.offer.rejection) : again.offer
    }
    if (offer === undefined) return waitMs
    if (offer.is === 'rejected') {
      failures++
      waitMs = Math.max(waitMs, backoffMs(failures, random))
      log('error', 'state rejected', { ...offer.rejection })
    }
    // For a poll that is further off a report does not wait.
    isReportDue =
      deps.takeReport !== undefined && offer.is === 'applied' && waitMs <= SPACING_MIN_MS
    deps.onOffer(offer, isReportDue)
    return waitMs
  }

  return {
    once,
    async run(signal) {
      while (!signal.aborted) {
        let waitMs: number
        try {
          waitMs = await once(WAIT_SECONDS, signal)
        } catch (error) {
          if (signal.aborted) return
          failures++
          waitMs = backoffMs(failures, random)
          log('warn', 'poll failed', { error: String(error), failures })
        }
        await clock.sleep(waitMs, signal)
      }
    },
  }
}
