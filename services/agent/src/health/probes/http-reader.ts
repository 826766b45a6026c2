/**
 * Reads one HTTP/1.x answer as far as a check needs it: status line, how the body is framed, its first bytes. Bytes in
 * any pieces; bounded, whatever the server sends. RFC 9112.
 */

const HEAD_BYTES_MAX = 16 * 1024
const BODY_BYTES_MAX = 64 * 1024

export type HttpAnswer = {
  readonly status: number
  readonly reason: string
  /** At most `BODY_BYTES_MAX`; of a longer one the beginning. */
  readonly body: Buffer
}

/** `more`: not whole yet. */
export type Reading = 'more' | { readonly answer: HttpAnswer } | { readonly problem: string }

type Head = {
  readonly status: number
  readonly reason: string
  readonly framing: 'none' | 'length' | 'chunked' | 'close'
  readonly length: number
}

const STATUS_LINE = /^HTTP\/1\.[01] ([1-5]\d\d)(?: ([^\r\n]*))?$/

export class HttpReader {
  #unread: Buffer = Buffer.alloc(0)
  #head: Head | undefined
  #body: Buffer[] = []
  #bodyBytes = 0
  /** Bytes of the chunk that is being read; undefined = its size line comes next. */
  #chunkLeft: number | undefined
  readonly #hasBody: boolean

  /** `hasBody`: false for answers to HEAD. */
  constructor(hasBody: boolean) {
    this.#hasBody = hasBody
  }

  push(bytes: Buffer): Reading {
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes])
    while (this.#head === undefined) {
      const end = this.#unread.indexOf('\r\n\r\n')
      if (end === -1) {
        return this.#unread.length > HEAD_BYTES_MAX
          ? { problem: `a head of more than ${HEAD_BYTES_MAX} bytes` }
          : 'more'
      }
      const head = parseHead(this.#unread.subarray(0, end).toString('latin1'), this.#hasBody)
      if (typeof head === 'string') return { problem: head }
      this.#unread = this.#unread.subarray(end + 4)
      // 100 Continue, 103 Early Hints: the answer itself is still to come.
      if (head.status >= 200) this.#head = head
    }
    return this.#readBody(this.#head)
  }

  /** The server closed: whole only where that ends the body. */
  end(): Reading {
    if (this.#head?.framing === 'close') return this.#done(this.#head)
    return { problem: this.#head === undefined ? 'no whole head' : 'a body that breaks off' }
  }

  #readBody(head: Head): Reading {
    if (head.framing === 'none') return this.#done(head)
    if (head.framing === 'chunked') return this.#readChunks(head)
    this.#take(this.#unread.length)
    const wanted =
      head.framing === 'length' ? Math.min(head.length, BODY_BYTES_MAX) : BODY_BYTES_MAX
    return this.#bodyBytes >= wanted ? this.#done(head) : 'more'
  }

  #readChunks(head: Head): Reading {
    while (this.#bodyBytes < BODY_BYTES_MAX) {
      if (this.#chunkLeft === undefined) {
        const end = this.#unread.indexOf('\r\n')
        if (end === -1) return this.#unread.length > 1_024 ? { problem: 'no chunk size' } : 'more'
        const line = this.#unread.subarray(0, end).toString('latin1')
        const size = /^([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?$/.exec(line)?.[1]
        if (size === undefined) return { problem: 'no chunk size' }
        this.#unread = this.#unread.subarray(end + 2)
        if (Number.parseInt(size, 16) === 0) return this.#done(head)
        // With the line end behind it.
        this.#chunkLeft = Number.parseInt(size, 16) + 2
      }
      const present = Math.min(this.#chunkLeft, this.#unread.length)
      this.#chunkLeft -= present
      this.#take(present, this.#chunkLeft < 2 ? 2 - this.#chunkLeft : 0)
      if (this.#chunkLeft > 0) return 'more'
      this.#chunkLeft = undefined
    }
    return this.#done(head)
  }

  /** Moves bytes from what is unread to the body, all but the last `without`. */
  #take(count: number, without = 0): void {
    const kept = this.#unread.subarray(0, Math.max(0, count - without))
    this.#unread = this.#unread.subarray(count)
    const room = kept.subarray(0, Math.max(0, BODY_BYTES_MAX - this.#bodyBytes))
    this.#body.push(room)
    this.#bodyBytes += room.length
  }

  #done({ status, reason }: Head): Reading {
    return { answer: { status, reason, body: Buffer.concat(this.#body) } }
  }
}

function parseHead(text: string, hasBody: boolean): Head | string {
  const [first = '', ...lines] = text.split('\r\n')
  const match = STATUS_LINE.exec(first)
  if (match === null) return 'no HTTP/1.x status line'
  const status = Number(match[1])
  const reason = match[2] ?? ''
  const field = (name: string) =>
    lines
      .find((line) => line.toLowerCase().startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim()
  if (!hasBody || status === 204 || status === 304) {
    return { status, reason, framing: 'none', length: 0 }
  }
  if (/\bchunked$/i.test(field('transfer-encoding') ?? '')) {
    return { status, reason, framing: 'chunked', length: 0 }
  }
  const length = field('content-length')
  if (length === undefined) return { status, reason, framing: 'close', length: 0 }
  if (!/^\d{1,15}$/.test(length)) return 'a content-length that is no number'
  return { status, reason, framing: 'length', length: Number(length) }
}
