/** Probes over TCP, against real servers on the loopback that behave badly. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it, type TestContext } from 'node:test'
import { ip, type CheckTls } from '@lvs-fleet/contract'
import { closedPort, tcpServer, tlsServer } from '../../../../../test/fakes/bad-servers.ts'
import { makeCertificate } from '../../../../../test/fakes/certificates.ts'
import { plainDialer } from '../dialer.ts'
import type { ProbeOf, ProbeResult, ProbeTarget } from '../probe.ts'
import { probeHttp } from './http.ts'
import { probeTcp } from './tcp.ts'
import { probeTls } from './tls.ts'

const LOOPBACK = ip('127.0.0.1')
const SHORT_MS = 200

const to = (port: number, timeoutMs = 2_000): ProbeTarget => ({
  address: LOOPBACK,
  port,
  realServer: 'rs-1',
  timeoutMs,
  dialer: plainDialer,
})

function http(fields: Partial<ProbeOf<'http'>> = {}): ProbeOf<'http'> {
  return {
    kind: 'http',
    method: 'GET',
    path: '/health',
    host: null,
    statuses: [{ from: 200, to: 299 }],
    bodyContains: null,
    bodyMatches: null,
    tls: null,
    ...fields,
  }
}

/** `good 200 OK`, `wrong: status 500`. */
function inWords(result: ProbeResult): string {
  if (result.is === 'good') {
    assert.ok(result.latencyMs > 0)
    return `good ${result.detail}`
  }
  return result.is === 'bad' ? `${result.failure}: ${result.detail}` : result.detail
}

/** A server that answers each request with `text`, then ends. */
const answering = (t: TestContext, text: string | Buffer): Promise<number> =>
  tcpServer(t, (socket) => socket.once('data', () => socket.end(text)))

/** Sends forever, until the other side goes. */
function flood(socket: Socket, head: string): void {
  socket.write(head)
  const piece = Buffer.alloc(65_536, 'x')
  const more = (): void => {
    while (!socket.destroyed && socket.write(piece)) continue
  }
  socket.on('drain', more)
  more()
}

describe('tcp', () => {
  it('is good when somebody listens, refused when nobody does', async (t) => {
    const port = await tcpServer(t, () => {})
    assert.equal(inWords(await probeTcp(to(port))), 'good connected')
    assert.equal(inWords(await probeTcp(to(await closedPort()))), 'refused: connection refused')
  })

  it('closes its connection', async (t) => {
    const closed = Promise.withResolvers<void>()
    const port = await tcpServer(t, (socket) =>
      socket.resume().once('close', () => closed.resolve()),
    )
    await probeTcp(to(port))
    await closed.promise
  })

  it('closes a connection that comes after the deadline', async (t) => {
    const closed = Promise.withResolvers<void>()
    const port = await tcpServer(t, (socket) =>
      socket.resume().once('close', () => closed.resolve()),
    )
    const late = Promise.withResolvers<Socket>()
    const dialer = { ...plainDialer, dialTcp: () => late.promise }
    const result = await probeTcp({ ...to(port, 20), dialer })
    assert.equal(inWords(result), 'silent: no answer within 20 ms')
    late.resolve(await plainDialer.dialTcp(to(port)))
    await closed.promise
  })

  it('says nothing of the server where the director is at fault', async () => {
    for (const code of ['EMFILE', 'EADDRNOTAVAIL', 'EPERM']) {
      const dialTcp = () => Promise.reject(Object.assign(new Error('x'), { code }))
      const result = await probeTcp({ ...to(1), dialer: { ...plainDialer, dialTcp } })
      assert.equal(inWords(result), `cannot run: ${code}`)
    }
  })
})

describe('http', () => {
  const ROWS: readonly {
    readonly name: string
    readonly answer: string
    readonly probe?: Partial<ProbeOf<'http'>>
    readonly want: string
  }[] = [
    {
      name: 'body by length',
      answer: 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
      want: 'good 200 OK',
    },
    { name: 'body by the end', answer: 'HTTP/1.0 200 OK\r\n\r\nok', want: 'good 200 OK' },
    {
      name: 'body in chunks',
      answer:
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n',
      probe: { bodyContains: 'hello' },
      want: 'good 200 OK',
    },
    { name: 'no body', answer: 'HTTP/1.1 204 No Content\r\n\r\n', want: 'good 204 No Content' },
    { name: 'no reason', answer: 'HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n', want: 'good 200' },
    {
      name: 'early hints before the answer',
      answer:
        'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
      want: 'good 200 OK',
    },
    {
      name: 'HEAD has no body, whatever its length says',
      answer: 'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n',
      probe: { method: 'HEAD' },
      want: 'good 200 OK',
    },
    {
      name: 'wrong status',
      answer: 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n',
      want: 'wrong: status 503 Service Unavailable',
    },
    {
      name: 'a status that is asked for',
      answer: 'HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n',
      probe: { statuses: [{ from: 503, to: 503 }] },
      want: 'good 503 Busy',
    },
    {
      name: 'body without the text',
      answer: 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad',
      probe: { bodyContains: 'ok' },
      want: 'wrong: 200 OK, but the body lacks "ok"',
    },
    {
      name: 'body that matches',
      answer: 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nqueue: 12',
      probe: { bodyMatches: String.raw`^queue: \d+$` },
      want: 'good 200 OK',
    },
    {
      name: 'body that does not match',
      answer: 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno',
      probe: { bodyMatches: '^yes$' },
      want: 'wrong: 200 OK, but the body does not match ^yes$',
    },
    {
      name: 'an expression that never ends is the fault of who wrote it',
      answer: `HTTP/1.1 200 OK\r\ncontent-length: 41\r\n\r\n${'a'.repeat(40)}b`,
      probe: { bodyMatches: '^(a+)+$' },
      want: 'cannot run: bodyMatches: Error: Script execution timed out after 50ms',
    },
    {
      name: 'not HTTP',
      answer: 'SSH-2.0-OpenSSH_9.2\r\n\r\n',
      want: 'wrong: no HTTP/1.x status line',
    },
    { name: 'half a head', answer: 'HTTP/1.1 200 OK\r\ncont', want: 'wrong: no whole head' },
    {
      name: 'half a body',
      answer: 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf',
      want: 'wrong: a body that breaks off',
    },
    {
      name: 'chunks that are none',
      answer: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
      want: 'wrong: no chunk size',
    },
    {
      name: 'a length that is none',
      answer: 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n',
      want: 'wrong: a content-length that is no number',
    },
    { name: 'an end without a word', answer: '', want: 'refused: closed without an answer' },
    {
      name: 'control characters are kept out of reports',
      answer: 'HTTP/1.1 500 \u001b[31mred\u0007\r\ncontent-length: 0\r\n\r\n',
      want: 'wrong: status 500  [31mred',
    },
  ]
  for (const { name, answer, probe, want } of ROWS) {
    it(name, async (t) => {
      const port = await answering(t, answer)
      assert.equal(inWords(await probeHttp(http(probe), to(port))), want)
    })
  }

  it('asks for the path with the host that is named, or else its address', async (t) => {
    const asked: string[] = []
    const port = await tcpServer(t, (socket) =>
      socket.once('data', (bytes) => {
        asked.push(bytes.toString('latin1'))
        socket.end('HTTP/1.1 200 OK\r\n\r\n')
      }),
    )
    await probeHttp(http({ host: 'shop.example' }), to(port))
    await probeHttp(http({ method: 'HEAD', path: '/' }), to(port))
    assert.match(asked[0] ?? '', /^GET \/health HTTP\/1\.1\r\nhost: shop\.example\r\n[^]*\r\n\r\n$/)
    assert.match(asked[1] ?? '', new RegExp(`^HEAD / HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n`))
  })

  it('takes an answer in any pieces', async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
    const port = await tcpServer(t, (socket) => {
      socket.setNoDelay(true)
      socket.once('data', () => {
        void (async () => {
          for (const byte of answer) {
            socket.write(byte)
            await new Promise((resolve) => setImmediate(resolve))
          }
        })()
      })
    })
    assert.equal(inWords(await probeHttp(http({ bodyContains: 'hello' }), to(port))), 'good 200 OK')
  })

  it('accepted, then silent: silent at the timeout', async (t) => {
    const port = await tcpServer(t, () => {})
    const startedMs = performance.now()
    const result = await probeHttp(http(), to(port, SHORT_MS))
    assert.equal(inWords(result), `silent: no answer within ${SHORT_MS} ms`)
    assert.ok(performance.now() - startedMs < SHORT_MS * 5)
  })

  it('a slow drip holds it no longer than the timeout', async (t) => {
    const port = await tcpServer(t, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n')
      const timer = setInterval(() => socket.write('x'), 10)
      socket.on('close', () => clearInterval(timer))
    })
    const result = await probeHttp(http(), to(port, SHORT_MS))
    assert.equal(inWords(result), `silent: no whole answer within ${SHORT_MS} ms`)
  })

  it('of a body without end only the beginning is read', async (t) => {
    const read = Promise.withResolvers<number>()
    const port = await tcpServer(t, (socket) => {
      socket.on('close', () => read.resolve(socket.bytesWritten))
      flood(socket, 'HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n')
    })
    assert.equal(inWords(await probeHttp(http({ bodyContains: 'xxx' }), to(port))), 'good 200 OK')
    await read.promise
  })

  it('a head without end is refused', async (t) => {
    const port = await tcpServer(t, (socket) => flood(socket, 'HTTP/1.1 200 OK\r\nx: '))
    assert.equal(
      inWords(await probeHttp(http(), to(port))),
      'wrong: a head of more than 16384 bytes',
    )
  })

  it('a reset within the body is an answer that is wrong, a reset before it a refusal', async (t) => {
    const within = await tcpServer(t, (socket) =>
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf')
        setTimeout(() => socket.resetAndDestroy(), 50)
      }),
    )
    assert.equal(
      inWords(await probeHttp(http(), to(within))),
      'wrong: connection reset within the answer',
    )
    const before = await tcpServer(t, (socket) =>
      socket.once('data', () => socket.resetAndDestroy()),
    )
    assert.equal(inWords(await probeHttp(http(), to(before))), 'refused: connection reset')
  })

  it('a loop that was busy takes no server down', async (t) => {
    const port = await answering(t, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    const probing = probeHttp(http(), to(port, 50))
    const untilMs = performance.now() + 300
    while (performance.now() < untilMs) continue
    assert.equal(inWords(await probing), 'good 200 OK')
  })
})

describe('tls and https', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lvsfleet-tls-'))
  after(() => rmSync(folder, { recursive: true }))
  const authority = makeCertificate({ name: 'test authority', isAuthority: true })
  const leaf = (fields: object = {}) =>
    makeCertificate({ name: 'shop.example', by: authority, addresses: ['127.0.0.1'], ...fields })
  const good = leaf()
  const expired = leaf({ days: -1 })
  const selfSigned = makeCertificate({ name: 'shop.example' })
  const client = leaf({ name: 'director' })
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const caFile = file('ca.pem', authority.cert)
  const tls = (fields: Partial<CheckTls> = {}): CheckTls => ({
    serverName: 'shop.example',
    verify: true,
    caFile,
    certificateFile: null,
    keyFile: null,
    ...fields,
  })
  const pair = ({ cert, key }: { cert: string; key: string }) => ({ cert, key })
  const handshake = async (port: number, fields: Partial<CheckTls> = {}) =>
    inWords(await probeTls({ kind: 'tls', tls: tls(fields) }, to(port)))

  it('a good certificate passes, by name and by address', async (t) => {
    const port = await tlsServer(t, pair(good))
    assert.equal(await handshake(port), 'good TLSv1.3')
    assert.equal(await handshake(port, { serverName: null }), 'good TLSv1.3')
  })

  it('expired, foreign and self-signed ones do not, unless nobody looks', async (t) => {
    const wrong = await tlsServer(t, pair(leaf({ name: 'other.example', addresses: [] })))
    const late = await tlsServer(t, pair(expired))
    const own = await tlsServer(t, pair(selfSigned))
    assert.match(await handshake(wrong), /^wrong: .*ERR_TLS_CERT_ALTNAME_INVALID|altnames/)
    assert.match(await handshake(late), /^wrong: CERT_HAS_EXPIRED/)
    assert.match(await handshake(own), /^wrong: DEPTH_ZERO_SELF_SIGNED_CERT/)
    for (const port of [wrong, late, own]) {
      assert.equal(await handshake(port, { verify: false }), 'good TLSv1.3')
    }
  })

  it('SNI is what was asked for, and none where a name is not given', async (t) => {
    const names: (string | false | null)[] = []
    const port = await tlsServer(t, {
      ...pair(good),
      SNICallback: (name, done) => {
        names.push(name)
        done(null)
      },
    })
    await handshake(port)
    await handshake(port, { serverName: null })
    assert.deepEqual(names, ['shop.example'])
  })

  it('a server that speaks no TLS is wrong, one that says nothing silent', async (t) => {
    const plain = await tcpServer(t, (socket) => socket.end('HTTP/1.0 400 Bad Request\r\n\r\n'))
    assert.match(await handshake(plain), /^wrong: /)
    const silent = await tcpServer(t, () => {})
    const result = await probeTls({ kind: 'tls', tls: tls() }, to(silent, SHORT_MS))
    assert.equal(inWords(result), `silent: no answer within ${SHORT_MS} ms`)
  })

  it('https sends the certificate of the director, and does without only where none is asked', async (t) => {
    const options = {
      ...pair(good),
      ca: authority.cert,
      requestCert: true,
      rejectUnauthorized: true,
    }
    const port = await tlsServer(t, options, (socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')),
    )
    const files = {
      certificateFile: file('client.pem', client.cert),
      keyFile: file('client.key', client.key),
    }
    const ask = async (settings: CheckTls) =>
      inWords(await probeHttp(http({ tls: settings }), to(port)))
    assert.equal(await ask(tls(files)), 'good 200 OK')
    assert.match(await ask(tls()), /^wrong: .*certificate/i)
  })

  it('a file that is missing is the fault of the director', async (t) => {
    const port = await tlsServer(t, pair(good))
    assert.equal(
      await handshake(port, { caFile: '/none.pem' }),
      'cannot run: /none.pem cannot be read',
    )
  })
})
