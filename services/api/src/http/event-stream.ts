/**
 * Events as `text/event-stream` (HTML Living Standard, 9.2): each with its id, its kind and its JSON; a comment as heartbeat.
 * What is sent is pulled: a reader that is slow is waited for, one that takes nothing for long is cut. So a stream holds
 * one page at most, whoever reads it.
 */
import type { EventFilter, FleetEvent } from '../status/event.ts'
import { wireEvent } from '../status/wire-event.ts'
import type { Deps } from '../verbs/deps.ts'
import { checkedRead } from '../verbs/read-events.ts'
import { ApiError } from '../errors.ts'

export type StreamTimes = {
  readonly heartbeatMs: number
  /** A reader that took nothing for so long is gone, whatever TCP says. */
  readonly slowMs: number
  /** A stream ends then, and its reader comes again: with a key that may have been revoked meanwhile. */
  readonly lifeMs: number
}
export const STREAM_TIMES: StreamTimes = {
  heartbeatMs: 15_000,
  slowMs: 30_000,
  lifeMs: 30 * 60_000,
}

const PAGE = 100

export function eventStream(
  deps: Deps,
  stream: {
    readonly after: number
    readonly filter: EventFilter
    readonly signal: AbortSignal
    readonly times: StreamTimes
    /** Called once, however it ends. */
    readonly onEnd: () => void
    /** Ends the connection of a reader that does not read. */
    readonly cut: () => void
  },
): ReadableStream<Uint8Array> {
  const { filter, times, cut } = stream
  const encoder = new TextEncoder()
  const stop = new AbortController()
  let cursor = stream.after
  /** The last id that the reader was told, so that one who reconnects is not led through what its filter left out. */
  let told = -1
  let watchdog: NodeJS.Timeout | undefined
  let ended = false
  const endsAt = performance.now() + times.lifeMs
  const end = (): void => {
    if (ended) return
    ended = true
    clearTimeout(watchdog)
    stream.signal.removeEventListener('abort', end)
    stop.abort()
    stream.onEnd()
  }
  stream.signal.addEventListener('abort', end, { once: true })
  if (stream.signal.aborted) end()

  const next = async (): Promise<string | undefined> => {
    const beatAt = performance.now() + times.heartbeatMs
    for (;;) {
      if (ended || deps.events.isClosed || performance.now() > endsAt) return undefined
      const page = await checkedRead(deps, cursor, PAGE, filter, false)
      cursor = page.cursor
      if (page.items.length > 0) {
        told = cursor
        return page.items.map(textOf).join('')
      }
      const leftMs = beatAt - performance.now()
      if (leftMs <= 0) break
      await deps.events.wait(cursor, leftMs, stop.signal)
    }
    const moved = told === cursor ? '' : `id: ${cursor}\n`
    told = cursor
    return `${moved}: nothing new\n\n`
  }
  return new ReadableStream<Uint8Array>(
    {
      // Headers and first bytes at once, so that the reader knows that it is connected.
      start: (controller) => controller.enqueue(encoder.encode(`retry: 2000\nid: ${cursor}\n\n`)),
      async pull(controller) {
        clearTimeout(watchdog)
        const text = ended ? undefined : await next().catch(lastWords)
        if (text === undefined || ended) {
          end()
          return controller.close()
        }
        controller.enqueue(encoder.encode(text))
        watchdog = setTimeout(() => {
          end()
          controller.close()
          cut()
        }, times.slowMs)
        watchdog.unref()
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  )
}

/** One whose cursor was overtaken by retention is told so, and asks anew; any other fault ends the stream. */
function lastWords(error: unknown): string | undefined {
  if (!(error instanceof ApiError) || error.code !== 'cursor-gone') return undefined
  return `event: gone\ndata: ${JSON.stringify({ code: error.code, detail: error.message })}\n\n`
}

function textOf(event: FleetEvent): string {
  return `id: ${event.id}\nevent: ${event.kind}\ndata: ${JSON.stringify(wireEvent(event))}\n\n`
}
