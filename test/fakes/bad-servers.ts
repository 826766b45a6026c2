/** Servers on the loopback that behave as a test says, and forget nobody: all are closed with the test. */
import { once } from 'node:events'
import { createSocket, type RemoteInfo } from 'node:dgram'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'

/** Its port. `serve` gets each connection. */
export async function tcpServer(t: TestContext, serve: (socket: Socket) => void): Promise<number> {
  return listen(t, createServer(), 'connection', serve)
}

export async function tlsServer(
  t: TestContext,
  options: TlsOptions,
  serve: (socket: Socket) => void = () => {},
): Promise<number> {
  return listen(t, createTlsServer(options), 'secureConnection', serve)
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server.address())
  await new Promise((resolve) => server.close(resolve))
  return port
}

export async function udpServer(
  t: TestContext,
  reply: (bytes: Buffer, send: (answer: Buffer) => void) => void,
): Promise<number> {
  const socket = createSocket('udp4')
  socket.on('message', (bytes, from: RemoteInfo) =>
    reply(bytes, (answer) => socket.send(answer, from.port, from.address)),
  )
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => socket.close())
  return socket.address().port
}

async function listen(
  t: TestContext,
  server: ReturnType<typeof createServer>,
  event: 'connection' | 'secureConnection',
  serve: (socket: Socket) => void,
): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  server.on(event, (socket: Socket) => {
    socket.on('error', () => {})
    serve(socket)
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return portOf(server.address())
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
