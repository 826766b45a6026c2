/** A reader of `text/event-stream`, as small as the format allows: for tests of those who send it. */
import type { TestApi } from './harness.ts'

export type Sent = { readonly id: string; readonly event: string; readonly data: string }

export function readStream(
  api: Pick<TestApi, 'url' | 'adminKey'>,
  query: string,
  lastEventId?: string,
): {
  readonly opened: Promise<number>
  readonly next: () => Promise<Sent>
  readonly close: () => Promise<void>
} {
  const stop = new AbortController()
  const response = fetch(`${api.url}/v1/events/stream${query}`, {
    headers: {
      authorization: `Bearer ${api.adminKey}`,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
    signal: stop.signal,
  })
  const blocks = blocksOf(response)
  return {
    opened: response.then(({ status }) => status),
    next: async () => {
      for (;;) {
        const { value, done } = await blocks.next()
        if (done === true) throw new Error('the stream ended')
        const fields = Object.fromEntries(
          value.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2)),
        )
        if (fields['data'] !== undefined) return fields
      }
    },
    close: async () => {
      stop.abort()
      await blocks.return(undefined).catch(() => {})
    },
  }
}

async function* blocksOf(response: Promise<Response>): AsyncGenerator<string, undefined> {
  const { body, status } = await response
  if (body === null || status !== 200) throw new Error(`the stream answered ${status}`)
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true })
    const parts = text.split('\n\n')
    text = parts.pop() ?? ''
    yield* parts
  }
  return undefined
}
