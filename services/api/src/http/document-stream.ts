/** A state document as a stream: the shards are shared strings, only what is on its way is copied. */
export function documentStream(jws: string, bodies: readonly string[]): ReadableStream<Uint8Array> {
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
