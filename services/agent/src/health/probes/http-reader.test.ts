import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { HttpReader, type Reading } from './http-reader.ts'

/** The pieces one after the other, then the end, as far as they are read. */
function read(pieces: readonly Buffer[], hasBody = true): Reading {
  const reader = new HttpReader(hasBody)
  for (const piece of pieces) {
    const reading = reader.push(piece)
    if (reading !== 'more') return reading
  }
  return reader.end()
}

/** `bytes` cut at these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].toSorted(
    (a, b) => a - b,
  )
  return sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end))
}

const body = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes))

/** A body in chunks of these sizes. */
function chunked(bytes: Buffer, sizes: readonly number[]): Buffer {
  const parts: Buffer[] = []
  let at = 0
  for (const size of [...sizes, bytes.length]) {
    const part = bytes.subarray(at, at + size)
    at += size
    if (part.length === 0) continue
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'))
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')])
}

describe('an answer of HTTP/1.1', () => {
  it('is the same however it is framed and however it is cut', () => {
    fc.assert(
      fc.property(
        body,
        fc.array(fc.nat(10_000), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 8 }),
        (bytes, places, sizes) => {
          const framings = [
            Buffer.concat([Buffer.from(`content-length: ${bytes.length}\r\n\r\n`), bytes]),
            Buffer.concat([Buffer.from('connection: close\r\n\r\n'), bytes]),
            Buffer.concat([
              Buffer.from('Transfer-Encoding: Chunked\r\n\r\n'),
              chunked(bytes, sizes),
            ]),
          ]
          for (const framed of framings) {
            const whole = Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n'), framed])
            const reading = read(cut(whole, places))
            assert.deepEqual(reading, { answer: { status: 200, reason: 'OK', body: bytes } })
          }
        },
      ),
    )
  })

  it('is cut at 64 KiB, in whatever framing', () => {
    const bytes = Buffer.alloc(200_000, 'x')
    for (const framed of [
      `HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n${bytes.toString()}`,
      `HTTP/1.1 200 OK\r\n\r\n${bytes.toString()}`,
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n30d40\r\n${bytes.toString()}\r\n0\r\n\r\n`,
    ]) {
      const reading = read([Buffer.from(framed)])
      assert.ok(typeof reading === 'object' && 'answer' in reading)
      assert.equal(reading.answer.body.length, 65_536)
    }
  })

  it('may be anything: the reader never throws, and holds no more than its bounds', () => {
    const start = fc.constantFrom(
      '',
      'HTTP/1.1 200 OK\r\n',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
    )
    fc.assert(
      fc.property(start, fc.array(body, { maxLength: 10 }), (text, pieces) => {
        const reading = read([Buffer.from(text), ...pieces])
        assert.notEqual(reading, 'more')
      }),
    )
  })
})
