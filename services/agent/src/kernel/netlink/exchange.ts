/**
 * Exchange: one request (or batch) and everything that answers it, found by sequence number.
 * It ends once: by its last answer, by a failure, or by its timeout.
 */
import { NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR } from './constants.ts'
import { decodeDone, decodeError, type NetlinkFailure, type NetlinkMessage } from './message.ts'

export type Exchange = {
  readonly firstSequence: number
  /** How many sequence numbers belong to it. */
  readonly sequenceCount: number
  /** Takes an answer; true when it was the last one. */
  take(message: NetlinkMessage): boolean
  /** The answers stop here. */
  fail(failure: NetlinkFailure): void
}

export type Answer<T> = {
  readonly items: readonly T[]
  readonly failure: NetlinkFailure | undefined
  /** A dump during which the objects changed: worthless. */
  readonly interrupted: boolean
}

export type Numbered = { readonly firstSequence: number; readonly sequenceCount: number }
type Finish<T> = (result: T) => void

/** One place per message; a failure is put where it belongs. */
export function emptyFailures(count: number): (NetlinkFailure | undefined)[] {
  return Array.from<NetlinkFailure | undefined>({ length: count })
}

/** A request whose data messages are decoded as they come; it ends with an ack, an error or DONE. */
export function answerExchange<T>(
  numbered: Numbered,
  decode: (message: NetlinkMessage) => T,
  finish: Finish<Answer<T>>,
): Exchange {
  const items: T[] = []
  let interrupted = false
  let unreadable: NetlinkFailure | undefined
  const end = (failure: NetlinkFailure | undefined): true => {
    finish({ items, failure: failure ?? unreadable, interrupted })
    return true
  }
  return {
    ...numbered,
    take: (message) => {
      if (message.flags & NLM_F_DUMP_INTR && message.type !== NLMSG_ERROR) interrupted = true
      if (message.type === NLMSG_ERROR) return end(decodeError(message))
      if (message.type === NLMSG_DONE) return end(decodeDone(message))
      // What cannot be read fails the request, but only at its end: a dump that is left half read
      // would hold up the next one.
      try {
        items.push(decode(message))
      } catch (error) {
        unreadable ??= unreadableFailure(error)
      }
      return false
    },
    fail: end,
  }
}

function unreadableFailure(error: unknown): NetlinkFailure {
  const message = error instanceof Error ? error.message : String(error)
  return { code: 'EBADMSG', message }
}

/** A batch: refused messages answer for themselves; whatever answers the last one ends it. */
export function batchExchange(
  numbered: Numbered,
  finish: Finish<readonly (NetlinkFailure | undefined)[]>,
): Exchange {
  const { firstSequence, sequenceCount } = numbered
  const failures = emptyFailures(sequenceCount)
  let answered = 0
  return {
    ...numbered,
    take: (message) => {
      if (message.type !== NLMSG_ERROR) return false
      const index = (message.sequence - firstSequence) >>> 0
      failures[index] = decodeError(message)
      answered = index + 1
      if (answered < sequenceCount) return false
      finish(failures)
      return true
    },
    // What came after the last answer is in doubt, and told as failed.
    fail: (failure) => finish(failures.fill(failure, answered)),
  }
}
