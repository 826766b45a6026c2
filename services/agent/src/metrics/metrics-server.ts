/**
 * Answers GET /metrics, and nothing else, on one address. HTTP/1.1 of one request a connection in a few lines, because
 * node:http costs a director 9 MB. Bounded in bytes, time and connections, since it may stand on a network.
 */
import type { Server, Socket } from 'node:net'

/** An address of this host, loopback unless an operator wants it otherwise. */
export type ListenAt = { readonly host: string; readonly port: number }

const REQUEST_BYTES_MAX = 8_192
const TIMEOUT_MS = 10_000
const CONNECTIONS_MAX = 16
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Listens until `close`; rejects where it cannot. `text` is asked for each request, and its rejection is a 503. */
export async function serveMetrics(
  { host, port }: ListenAt,
  text: () => Promise<string>,
): Promise<{ readonly port: number; readonly close: () => void }> {
  const open = new Set<Socket>()
  const { createServer } = process.getBuiltinModule('node:net')
  const server = createServer((socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    answer(socket, text)
  })
  server.maxConnections = CONNECTIONS_MAX
  await listening(server, { host, port })
  const bound = server.address()
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    close: () => {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

function listening(server: Server, { host, port }: ListenAt): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
}

function answer(socket: Socket, text: () => Promise<string>): void {
  let head = ''
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy())
  socket.on('error', () => socket.destroy())
  const read = (bytes: Buffer): void => {
    head += bytes.toString('latin1')
    if (head.includes('\r\n\r\n')) {
      socket.off('data', read)
      void respond(socket, head.slice(0, head.indexOf('\r\n')), text)
    } else if (head.length > REQUEST_BYTES_MAX) {
      socket.off('data', read)
      end(socket, '431 Request Header Fields Too Large', '')
    }
  }
  socket.on('data', read)
}

async function respond(
  socket: Socket,
  requestLine: string,
  text: () => Promise<string>,
): Promise<void> {
  const [method, target = ''] = requestLine.split(' ')
  if (method !== 'GET' && method !== 'HEAD') {
    return end(socket, '405 Method Not Allowed', 'only GET\n', method)
  }
  if (target.split('?')[0] !== '/metrics') {
    return end(socket, '404 Not Found', 'only /metrics\n', method)
  }
  try {
    end(socket, '200 OK', await text(), method)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    end(socket, '503 Service Unavailable', `${why}\n`, method)
  }
}

function end(socket: Socket, status: string, body: string, method = 'GET'): void {
  if (socket.destroyed) return
  const head = [
    `HTTP/1.1 ${status}`,
    `content-type: ${CONTENT_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '\r\n',
  ].join('\r\n')
  socket.end(method === 'HEAD' ? head : head + body)
}
