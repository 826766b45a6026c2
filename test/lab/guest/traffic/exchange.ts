// One HTTP request on a new connection, made in a client's namespace, and what came of it in one line:
// the answerer's own words, "TIMEOUT", or "ERR" with the errno.
import { connect, isIPv6, Socket } from 'node:net'
import { Readable } from 'node:stream'
import { inNamespace } from '../namespace.ts'
import { sctpSocket } from './sctp.ts'

export type Target = { readonly address: string; readonly port: number; readonly path: string }
export type Exchange = {
  readonly client: string
  readonly target: Target
  readonly timeoutMs: number
  readonly upload?: number | undefined
  readonly src?: string | undefined
  readonly protocol?: 'tcp' | 'sctp' | undefined
}

/** Parts of a time limit, see `patience`. */
const TURNS = 10
/** Bytes of one write: SCTP refuses a message that its send buffer cannot hold as a whole. */
const PIECE = 64 * 1024

export function parseTarget(url: string): Target {
  const { hostname, port, pathname } = new URL(url)
  const address = hostname.replace(/^\[|\]$/g, '')
  return { address, port: Number(port || 80), path: pathname }
}

/**
 * The socket must be born inside inNamespace. Node makes it later when given a plain address, but at
 * once when a look-up function answers at once and only one family is tried.
 */
export function openSocket(client: string, { address, port }: Target, src?: string): Socket {
  const family = isIPv6(address) ? 6 : 4
  return inNamespace(client, () =>
    connect({
      host: 'lab',
      port,
      lookup: (_name, _options, done) => done(null, address, family),
      autoSelectFamily: false,
      noDelay: true,
      ...(src === undefined ? {} : { localAddress: src }),
    }),
  )
}

/** Bound to `src` alone, see sctpSocket. */
function openSctpSocket(client: string, { address, port }: Target, src: string): Socket {
  const fd = inNamespace(client, () => sctpSocket({ address: src, port: 0 }))
  // Unconnected, it cannot be read yet: connect begins that.
  const unread = { fd, readable: true, writable: true, manualStart: true }
  return new Socket(unread).connect({ host: address, port })
}

/** Piece after piece, each when the one before is gone; then leaves the socket as it is, or ends it. */
export function send(socket: Socket, bytes: Buffer, { end }: { readonly end: boolean }): void {
  if (bytes.length <= PIECE) {
    if (end) socket.end(bytes)
    else socket.write(bytes)
    return
  }
  const pieces = function* () {
    for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE)
  }
  Readable.from(pieces(), { objectMode: false }).pipe(socket, { end })
}

export function requestBytes({ address, path }: Target, upload = 0): Buffer {
  const method = upload > 0 ? 'POST' : 'GET'
  const host = isIPv6(address) ? `[${address}]` : address
  const fields = [`host: ${host}`, `content-length: ${upload}`, 'connection: close']
  const head = `${method} ${path} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), Buffer.alloc(upload, 'u')])
}

export function exchange(request: Exchange): Promise<string> {
  const { client, target, timeoutMs, upload, src, protocol = 'tcp' } = request
  if (protocol === 'sctp' && src === undefined) throw new Error('SCTP needs the source address')
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const timer = patience(timeoutMs, () => finish('TIMEOUT'))
    const socket =
      protocol === 'sctp' && src !== undefined
        ? openSctpSocket(client, target, src)
        : openSocket(client, target, src)
    const finish = (outcome: string) => {
      clearInterval(timer)
      socket.destroy()
      resolve(outcome)
    }
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', () => finish(outcomeOf(Buffer.concat(chunks))))
    socket.on('error', (error: NodeJS.ErrnoException) =>
      finish(`ERR ${error.code ?? error.message}`),
    )
    // Not half-closed: a server of Node's http takes that for a client that went away.
    send(socket, requestBytes(target, upload), { end: false })
  })
}

/**
 * A time limit of which only time counts in which this process ran. A guest that stood still finds its timers due before it
 * reads the answers that lie in the kernel, and would call lost what was never lost.
 */
function patience(timeoutMs: number, expire: () => void): NodeJS.Timeout {
  let turns = 0
  return setInterval(() => {
    if (++turns === TURNS) expire()
  }, timeoutMs / TURNS)
}

/** First line of the body; ` body=N` for more than that; a cut answer is an error. */
function outcomeOf(answer: Buffer): string {
  const headEnd = answer.indexOf('\r\n\r\n')
  if (headEnd < 0) return 'ERR EMPTY'
  const head = answer.toString('latin1', 0, headEnd)
  const body = answer.subarray(headEnd + 4)
  const wanted = /^content-length: *(\d+)/im.exec(head)?.[1]
  if (wanted !== undefined && body.length < Number(wanted)) return 'ERR SHORT'
  const status = Number(head.split(' ')[1])
  if (status !== 200) return `ERR HTTP ${status}`
  const lineEnd = body.indexOf('\n')
  const line = body.toString('utf8', 0, Math.min(lineEnd < 0 ? body.length : lineEnd, 200))
  const more = lineEnd < 0 ? 0 : body.length - lineEnd - 1
  return more > 0 ? `${line} body=${more}` : line
}
