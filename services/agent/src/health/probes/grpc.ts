/**
 * grpc.health.v1.Health/Check over HTTP/2: https://github.com/grpc/grpc/blob/master/doc/health-checking.md. The message
 * is one field each way, written and read here; node:http2 is loaded when the first such check runs.
 */
import type { IncomingHttpHeaders } from 'node:http2'
import { bad } from '../failure.ts'
import type { ProbeOf, ProbeResult, ProbeTarget } from '../probe.ts'
import { withStream, type Outcome } from '../stream.ts'

const ANSWER_BYTES_MAX = 4_096
/** HealthCheckResponse.ServingStatus. */
const STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']

export function probeGrpc(probe: ProbeOf<'grpc'>, target: ProbeTarget): Promise<ProbeResult> {
  const { tls } = probe
  return withStream(target, { tls, protocols: ['h2'] }, ({ socket, finish }) => {
    const http2 = process.getBuiltinModule('node:http2')
    const scheme = tls === null ? 'http' : 'https'
    const authority = probe.authority ?? authorityOf(target)
    const session = http2.connect(`${scheme}://${authority}`, {
      createConnection: () => socket,
      settings: { enablePush: false },
      maxSessionMemory: 1,
    })
    const fail = (error: Error): void => finish(bad('wrong', `HTTP/2: ${error.message}`))
    session.on('error', fail)
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'lvsfleet-agent',
    })
    let head: IncomingHttpHeaders = {}
    let trailers: IncomingHttpHeaders = {}
    const parts: Buffer[] = []
    let size = 0
    stream.on('error', fail)
    stream.on('response', (headers) => {
      head = headers
    })
    stream.on('trailers', (headers: IncomingHttpHeaders) => {
      trailers = headers
    })
    stream.on('data', (bytes: Buffer) => {
      size += bytes.length
      if (size > ANSWER_BYTES_MAX) finish(bad('wrong', 'an answer that is too long'))
      else parts.push(bytes)
    })
    stream.on('end', () => {
      // An answer of trailers alone has grpc-status in its head.
      const status = trailers['grpc-status'] ?? head['grpc-status']
      finish(judgeAnswer(head[':status'], status, Buffer.concat(parts)))
    })
    stream.end(encodeRequest(probe.service))
  })
}

/** Frame of 5 bytes (not compressed, length), then HealthCheckRequest: field 1, a string. */
export function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service, 'utf8')
  const message =
    name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name])
  const frame = Buffer.alloc(5)
  frame.writeUInt32BE(message.length, 1)
  return Buffer.concat([frame, message])
}

export function judgeAnswer(httpStatus: unknown, grpcStatus: unknown, body: Buffer): Outcome {
  if (Number(httpStatus) !== 200) return bad('wrong', `no gRPC: status ${String(httpStatus)}`)
  if (Number(grpcStatus) === 5) return bad('wrong', 'NOT_FOUND: the server knows no such service')
  if (Number(grpcStatus) === 12) return bad('wrong', 'UNIMPLEMENTED: no health service')
  if (Number(grpcStatus) !== 0) return bad('wrong', `grpc-status ${String(grpcStatus)}`)
  const serving = decodeStatus(body)
  if (serving === undefined) return bad('wrong', 'an answer that is no HealthCheckResponse')
  const name = STATUSES[serving] ?? `status ${serving}`
  return name === 'SERVING' ? { is: 'good', detail: name } : bad('wrong', name)
}

/** Field 1 of HealthCheckResponse, an enum that is left out when it is 0. */
function decodeStatus(body: Buffer): number | undefined {
  if (body.length < 5 || body[0] !== 0) return undefined
  const length = body.readUInt32BE(1)
  const message = body.subarray(5, 5 + length)
  if (message.length !== length) return undefined
  if (length === 0) return 0
  return message[0] === 0x08 && length === 2 ? message[1] : undefined
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]
}

function authorityOf({ address, port }: ProbeTarget): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
