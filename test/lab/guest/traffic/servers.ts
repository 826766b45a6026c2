// The real servers' programs, for all namespaces in one process: HTTP that says who answered whom
// (`NAME:PORT from=CLIENT`), and UDP the same. HTTP is spoken by hand on raw sockets: what the lab
// needs of it is small, and Node's http costs several times more on an emulated CPU.
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, isIPv6, type Server, type Socket } from 'node:net'
import { serveHelper } from '../helper.ts'
import { inNamespace } from '../namespace.ts'
import { send } from './exchange.ts'
import { sctpSocket } from './sctp.ts'

type Request = { path: string; contentLength: number; bodyStart: number }

const listening = new Map<string, Server[]>()
const udpSockets = new Map<string, UdpSocket[]>()
const connections = new Map<string, Set<Socket>>()
const HOLD_INTERVAL_MS = 200
const HEAD_MAX = 16 * 1024

serveHelper(async (op, args) => {
  const {
    host,
    ports = [],
    port = 0,
    bind,
  } = args as {
    host: string
    ports?: readonly number[]
    port?: number
    bind?: string
  }
  if (op === 'serve') await Promise.all(ports.map((each) => serveHttp(host, each)))
  else if (op === 'serveUdp') await serveUdp(host, port, bind ?? '::')
  else if (op === 'serveSctp') await serveSctp(host, port, bind ?? '')
  else if (op === 'unserve') stopAll(host)
  else throw new Error(`traffic servers know no request ${op}`)
})

// No host name: with one, Node would look it up first and listen later, in another namespace.
const serveHttp = (host: string, port: number) =>
  listen(host, port, (server) => server.listen({ port, backlog: 512 }))

/** Behind DR and TUN `bind` must be the VIP; always one address, see sctpSocket. */
const serveSctp = (host: string, port: number, bind: string) =>
  listen(host, port, (server) => server.listen({ fd: sctpSocket({ address: bind, port }) }))

function listen(host: string, port: number, start: (server: Server) => void): Promise<void> {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const open = connections.get(host) ?? new Set()
    connections.set(host, open.add(socket))
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => socket.destroy())
    converse(socket, `${host}:${port} from=${plainAddress(socket.remoteAddress)}`)
  })
  listening.set(host, [...(listening.get(host) ?? []), server])
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', resolve)
    inNamespace(host, () => start(server))
  })
}

function converse(socket: Socket, answer: string): void {
  let head = Buffer.alloc(0)
  let request: Request | undefined
  let body = 0
  let answered = false
  socket.on('data', (chunk: Buffer) => {
    body += chunk.length
    if (!request) {
      head = Buffer.concat([head, chunk])
      request = parseHead(head)
      if (!request && head.length > HEAD_MAX) socket.destroy()
      if (request) body = head.length - request.bodyStart
    }
    if (!request || answered || body < request.contentLength) return
    answered = true
    respond(socket, request, answer)
  })
}

function parseHead(head: Buffer): Request | undefined {
  const end = head.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const text = head.toString('latin1', 0, end)
  const contentLength = Number(/^content-length: *(\d+)/im.exec(text)?.[1] ?? 0)
  return { path: text.split(' ')[1] ?? '/', contentLength, bodyStart: end + 4 }
}

function respond(socket: Socket, { path, contentLength }: Request, answer: string): void {
  const got = contentLength > 0 ? ` got=${contentLength}` : ''
  const line = `${answer}${got}\n`
  const [, action, number = 0] = /^\/(big|slow|hold)(?:=(\d+))?$/.exec(path) ?? []
  if (action === 'big') {
    finish(socket, Buffer.concat([Buffer.from(line), Buffer.alloc(Number(number), 'x')]))
  } else if (action === 'slow') {
    setTimeout(() => finish(socket, Buffer.from(line)), Number(number))
  } else if (action === 'hold') {
    hold(socket, line, number === 0 ? HOLD_INTERVAL_MS : Number(number))
  } else {
    finish(socket, Buffer.from(line))
  }
}

function finish(socket: Socket, body: Buffer): void {
  const head = `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`
  if (!socket.destroyed) send(socket, Buffer.concat([Buffer.from(head), body]), { end: true })
}

/** Sends a byte now and then, for ever: an established connection that a client can watch. */
function hold(socket: Socket, line: string, everyMs: number): void {
  socket.write(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${line}`)
  const timer = setInterval(() => socket.write('.'), everyMs)
  socket.on('close', () => clearInterval(timer))
}

/** Behind DR and TUN `bind` must be the VIP, else the reply leaves with another source address. */
function serveUdp(host: string, port: number, bind: string): Promise<void> {
  const type = isIPv6(bind) ? 'udp6' : 'udp4'
  const socket = createSocket({ type, lookup: (name, _options, done) => done(null, name, 0) })
  udpSockets.set(host, [...(udpSockets.get(host) ?? []), socket])
  socket.on('message', (_message, from) => {
    const text = `${host}:${port} from=${plainAddress(from.address)}`
    inNamespace(host, () => socket.send(text, from.port, from.address))
  })
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('listening', resolve)
    inNamespace(host, () => socket.bind(port, bind))
  })
}

function stopAll(host: string): void {
  for (const server of listening.get(host) ?? []) server.close()
  for (const socket of connections.get(host) ?? []) socket.resetAndDestroy()
  for (const socket of udpSockets.get(host) ?? []) socket.close()
  listening.delete(host)
  udpSockets.delete(host)
}

function plainAddress(address: string | undefined): string {
  return (address ?? '?').replace(/^::ffff:/, '')
}
