/** Answers GET /metrics on an address of its own, apart from the API: no credential, so loopback unless an operator wants otherwise. */
import { createServer, type ServerResponse } from 'node:http'

const CONNECTIONS_MAX = 16
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export type MetricsServer = { readonly url: string; readonly close: () => Promise<void> }

/** Rejects where it cannot listen; a rejection of `read` is a 503. */
export async function serveMetrics(
  { host, port }: { readonly host: string; readonly port: number },
  read: () => Promise<string>,
): Promise<MetricsServer> {
  const limits = { headersTimeout: 5_000, requestTimeout: 5_000, maxHeaderSize: 8 * 1024 }
  const server = createServer(limits, (request, response) => {
    request.resume()
    const path = request.url?.split('?')[0]
    if (path !== '/metrics') return end(response, 404, 'only /metrics\n')
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return end(response, 405, 'only GET\n')
    read().then(
      (text) => end(response, 200, text),
      () => end(response, 503, 'not now\n'),
    )
  })
  server.maxConnections = CONNECTIONS_MAX
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const bound = server.address()
  const at = typeof bound === 'object' && bound !== null ? bound.port : port
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${at}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function end(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': CONTENT_TYPE, connection: 'close' }).end(text)
}
