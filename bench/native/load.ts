/**
 * Load on a server by keep-alive connections, each asking again as soon as it was answered, for a given time.
 * Raw sockets: an HTTP client would cost more than the servers that it measures. Answers must have no body.
 */
import { connect } from 'node:net'

export type LoadOrder = {
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly connections: number
  readonly ms: number
}
export type LoadResult = { readonly requests: number; readonly others: number; readonly ms: number }

const END = '\r\n\r\n'

process.on('message', ({ request }: { request: LoadOrder }) => {
  void load(request).then((result) => process.send?.(result))
})
process.on('disconnect', () => process.exit(0))

async function load(order: LoadOrder): Promise<LoadResult> {
  const lines = Object.entries(order.headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const request = `GET ${order.path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${lines.join('')}\r\n`
  const started = performance.now()
  const until = started + order.ms
  const counts = { requests: 0, others: 0 }
  await Promise.all(
    Array.from({ length: order.connections }, () => askUntil(until, order.port, request, counts)),
  )
  return { ...counts, ms: performance.now() - started }
}

function askUntil(
  until: number,
  port: number,
  request: string,
  counts: { requests: number; others: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer within 10 s')))
    socket.setEncoding('latin1')
    let text = ''
    socket.on('connect', () => socket.write(request))
    socket.on('data', (chunk: string) => {
      text += chunk
      if (!text.endsWith(END)) return
      counts.requests++
      if (!text.startsWith('HTTP/1.1 304')) counts.others++
      text = ''
      if (performance.now() < until) socket.write(request)
      else socket.end()
    })
    socket.on('close', () => resolve())
    socket.on('error', reject)
  })
}
