/** Bodies as a server may send them, over a real connection: whole, compressed, cut, rotten, and far larger than they look. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { WireError } from '../ports.ts'
import { createHttpClient, LINE_BYTES_MAX, type HttpClient } from './http.ts'

const LINES = Array.from({ length: 2_000 }, (_, n) => `line ${n} of a state that says the same`)
const PACKED = gzipSync(`${LINES.join('\n')}\n`)

describe('an answer', () => {
  let respond: RequestListener
  let connections = 0
  const server = createServer((request, response) => respond(request, response))
  server.on('connection', () => connections++)
  let http: HttpClient

  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    http = createHttpClient(new URL(`http://127.0.0.1:${address.port}`))
  })
  after(() => {
    http.close()
    server.close()
    server.closeAllConnections()
  })

  async function linesOf(answer: RequestListener, signal?: AbortSignal): Promise<string[]> {
    respond = answer
    const response = await http.request({
      method: 'GET',
      path: '/',
      timeoutMs: 5_000,
      ...(signal === undefined ? {} : { signal }),
    })
    const all: string[] = []
    for await (const line of response.lines()) all.push(line)
    return all
  }

  const packed =
    (body: Uint8Array): RequestListener =>
    (_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(body)

  test('by lines is the same whether it came compressed or not, and the connection is used again', async () => {
    const plain = await linesOf((_, response) => response.end(`${LINES.join('\n')}\n`))
    const before = connections
    for (let n = 0; n < 5; n++) assert.deepEqual(await linesOf(packed(PACKED)), plain)
    assert.equal(connections, before)
  })

  test('has the same lines wherever the connection cuts them, in the middle of a character too', async () => {
    const lines = ['one', '', 'naïve – 流量 🐧', 'the last has no end']
    const body = Buffer.from(lines.join('\n'))
    for (let cut = 1; cut < body.length; cut++) {
      const inTwo: RequestListener = (_, response) => {
        response.write(body.subarray(0, cut))
        setTimeout(() => response.end(body.subarray(cut)), 2)
      }
      assert.deepEqual(await linesOf(inTwo), lines, `cut at ${cut}`)
    }
  })

  test('whose body is compressed and cut anywhere is an error, never a shorter body', async () => {
    for (let size = 0; size < PACKED.length; size += Math.ceil(PACKED.length / 60)) {
      await assert.rejects(linesOf(packed(PACKED.subarray(0, size))), WireError, `${size} bytes`)
    }
  })

  test('whose body is compressed and rotten is the same or an error', async () => {
    let errors = 0
    for (let at = 0; at < PACKED.length; at += Math.ceil(PACKED.length / 200)) {
      const rotten = Buffer.from(PACKED)
      rotten.writeUInt8(rotten.readUInt8(at) ^ (1 << (at % 8)), at)
      try {
        assert.deepEqual(await linesOf(packed(rotten)), LINES)
      } catch (error) {
        assert.ok(error instanceof WireError, String(error))
        errors++
      }
    }
    assert.ok(errors > 150, `${errors} were found`)
  })

  test('whose connection breaks in the middle is an error', async () => {
    const broken: RequestListener = (_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': PACKED.length })
      response.write(PACKED.subarray(0, 100), () => response.destroy())
    }
    await assert.rejects(linesOf(broken), WireError)
  })

  test('with a body that unfolds to more than a line may have is broken off', async () => {
    const bomb = gzipSync(Buffer.alloc(LINE_BYTES_MAX * 4, 'a'))
    assert.ok(bomb.length < 100_000)
    await assert.rejects(linesOf(packed(bomb)), /a line is longer than/)
  })

  test('in an encoding that nobody asked for is an error', async () => {
    const strange: RequestListener = (_, response) =>
      response.writeHead(200, { 'content-encoding': 'br' }).end('x')
    await assert.rejects(linesOf(strange), /content-encoding br/)
  })

  describe('to a caller who is told to stop', () => {
    test('before he asks is an error, and the server hears nothing', async () => {
      let asked = 0
      const answer: RequestListener = (_, response) => {
        asked++
        response.end()
      }
      await assert.rejects(linesOf(answer, AbortSignal.abort()), WireError)
      assert.equal(asked, 0)
    })

    test('while he waits is an error at once', async () => {
      const stop = new AbortController()
      await assert.rejects(
        linesOf(() => stop.abort(), stop.signal),
        /GET \/: stopped/,
      )
    })

    test('within the body is an error, never a shorter body', async () => {
      const stop = new AbortController()
      const half: RequestListener = (_, response) => {
        response.write(`${LINES[0]}\n`, () => setTimeout(() => stop.abort(), 50))
      }
      await assert.rejects(linesOf(half, stop.signal), WireError)
    })

    test('hangs on his signal no longer than it lasts', async () => {
      const { signal } = new AbortController()
      for (let n = 0; n < 20; n++) await linesOf((_, response) => response.end('a\n'), signal)
      const bodiless: RequestListener = (_, response) => response.writeHead(204).end()
      assert.deepEqual(await linesOf(bodiless, signal), [])
      await new Promise((resolve) => setTimeout(resolve, 50))
      assert.equal(getEventListeners(signal, 'abort').length, 0)
    })
  })
})
