import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerHttp2Stream } from 'node:http2'
import { describe, it, type TestContext } from 'node:test'
import { ip } from '@lvs-fleet/contract'
import { tcpServer } from '../../../../../test/fakes/bad-servers.ts'
import { plainDialer } from '../dialer.ts'
import type { ProbeResult, ProbeTarget } from '../probe.ts'
import { encodeRequest, judgeAnswer, probeGrpc } from './grpc.ts'

const SHORT_MS = 300

const to = (port: number, timeoutMs = 2_000): ProbeTarget => ({
  address: ip('127.0.0.1'),
  port,
  realServer: 'rs-1',
  timeoutMs,
  dialer: plainDialer,
})

const probe = { kind: 'grpc', service: 'shop.Cart', authority: null, tls: null } as const

function inWords(result: ProbeResult): string {
  if (result.is === 'good') return `good ${result.detail}`
  return result.is === 'bad' ? `${result.failure}: ${result.detail}` : result.detail
}

/** A message of HealthCheckResponse in its frame. */
const serving = (status: number): Buffer => Buffer.from([0, 0, 0, 0, 2, 0x08, status])

async function grpcServer(
  t: TestContext,
  serve: (stream: ServerHttp2Stream, asked: Buffer, path: string) => void,
): Promise<number> {
  const server = createServer()
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    stream.once('data', (bytes: Buffer) => serve(stream, bytes, String(headers[':path'])))
  })
  server.on('sessionError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** Answers as gRPC does: headers, data, trailers. */
function answer(stream: ServerHttp2Stream, body: Buffer, grpcStatus: string): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': grpcStatus }))
  stream.end(body)
}

describe('grpc', () => {
  it('asks for its service by the name that the protocol has', async (t) => {
    const asked: (string | Buffer)[] = []
    const port = await grpcServer(t, (stream, bytes, path) => {
      asked.push(path, bytes)
      answer(stream, serving(1), '0')
    })
    assert.equal(inWords(await probeGrpc(probe, to(port))), 'good SERVING')
    assert.equal(asked[0], '/grpc.health.v1.Health/Check')
    assert.deepEqual(asked[1], Buffer.from('\0\0\0\0\u000b\n\tshop.Cart', 'latin1'))
  })

  it('an empty service is an empty message, a long one has a long length', () => {
    assert.deepEqual(encodeRequest(''), Buffer.alloc(5))
    assert.deepEqual(
      encodeRequest('x'.repeat(200)).subarray(0, 8),
      Buffer.from([0, 0, 0, 0, 203, 10, 200, 1]),
    )
  })

  const ROWS: readonly (readonly [string, unknown, unknown, Buffer, string])[] = [
    ['not serving', 200, '0', serving(2), 'wrong: NOT_SERVING'],
    ['unknown is left out on the wire', 200, '0', Buffer.alloc(5), 'wrong: UNKNOWN'],
    [
      'no such service',
      200,
      '5',
      Buffer.alloc(0),
      'wrong: NOT_FOUND: the server knows no such service',
    ],
    ['no health service', 200, '12', Buffer.alloc(0), 'wrong: UNIMPLEMENTED: no health service'],
    ['another code', 200, '14', Buffer.alloc(0), 'wrong: grpc-status 14'],
    ['no code', 200, undefined, serving(1), 'wrong: grpc-status undefined'],
    ['a proxy in between', 502, undefined, Buffer.alloc(0), 'wrong: no gRPC: status 502'],
    [
      'half a message',
      200,
      '0',
      Buffer.from([0, 0, 0, 0, 9, 8]),
      'wrong: an answer that is no HealthCheckResponse',
    ],
    ['no message', 200, '0', Buffer.alloc(0), 'wrong: an answer that is no HealthCheckResponse'],
  ]
  for (const [name, http, grpc, body, want] of ROWS) {
    it(name, () => {
      const outcome = judgeAnswer(http, grpc, body)
      assert.equal(outcome.is === 'bad' && `${outcome.failure}: ${outcome.detail}`, want)
    })
  }

  it('trailers alone are an answer', async (t) => {
    const port = await grpcServer(t, (stream) =>
      stream.respond({ ':status': 200, 'grpc-status': '12' }, { endStream: true }),
    )
    assert.equal(
      inWords(await probeGrpc(probe, to(port))),
      'wrong: UNIMPLEMENTED: no health service',
    )
  })

  it('a refused stream, an endless answer and silence end in time', async (t) => {
    const refusing = await grpcServer(t, (stream) => stream.close(7))
    assert.match(inWords(await probeGrpc(probe, to(refusing))), /^wrong: HTTP\/2: .*REFUSED_STREAM/)
    const endless = await grpcServer(t, (stream) => {
      stream.respond({ ':status': 200 })
      stream.write(Buffer.alloc(100_000))
    })
    assert.equal(inWords(await probeGrpc(probe, to(endless))), 'wrong: an answer that is too long')
    const silent = await grpcServer(t, () => {})
    assert.match(
      inWords(await probeGrpc(probe, to(silent, SHORT_MS))),
      /^silent: no (whole )?answer/,
    )
  })

  it('a server that speaks HTTP/1 only is wrong', async (t) => {
    const port = await tcpServer(t, (socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    )
    assert.match(inWords(await probeGrpc(probe, to(port))), /^wrong: HTTP\/2: /)
  })
})
