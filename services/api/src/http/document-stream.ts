import type { Context } from 'hono'
import { accepts } from 'hono/accepts'
import { STATE_MEDIA_TYPE, stateEtag } from '@lvs-fleet/contract'
import type { StateDocument } from '../verbs/fetch-state.ts'

/** Characters from which on a document is compressed for who takes it: a state says the same few things again and again. */
export const COMPRESSED_FROM = 64 * 1024

/** The answer that carries a state document, gzipped where it is large and the reader takes that (RFC 9110, 8.4 and 12.5.3). */
export function sendDocument(c: Context, { state, bodies }: StateDocument): Response {
  const stream = documentStream(state.jws, bodies)
  const size = bodies.reduce((sum, body) => sum + body.length, state.jws.length)
  const encoding = accepts(c, {
    header: 'Accept-Encoding',
    supports: ['gzip', 'identity'],
    default: 'identity',
  })
  const isCompressed = size >= COMPRESSED_FROM && encoding === 'gzip'
  c.header('content-type', STATE_MEDIA_TYPE)
  c.header('vary', 'accept-encoding')
  // The same state in other bytes has another strong ETag (RFC 9110, 8.8.3); If-None-Match is compared weakly.
  c.header('etag', isCompressed ? `W/${stateEtag(state)}` : stateEtag(state))
  if (!isCompressed) return c.body(stream, 200)
  c.header('content-encoding', 'gzip')
  return c.body(stream.pipeThrough(new CompressionStream('gzip')), 200)
}

/** A state document as a stream: the shards are shared strings, only what is on its way is copied. */
function documentStream(
  jws: string,
  bodies: readonly string[],
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder()
  let next = -1
  return new ReadableStream({
    pull(controller) {
      const line = next < 0 ? jws : bodies[next]
      next++
      if (line === undefined) controller.close()
      else controller.enqueue(encoder.encode(`${line}\n`))
    },
  })
}
