/**
 * DNS messages as far as one question needs them: RFC 1035 section 4; AAAA RFC 3596, SRV RFC 2782. Encodes a question;
 * decodes an answer from a stranger: every offset is checked, and compression may only point backwards.
 */
import { bytesToIp, DNS_RCODES, DNS_TYPES } from '@lvs-fleet/contract'

export type DnsType = (typeof DNS_TYPES)[number]
export type DnsQuestion = { readonly name: string; readonly type: DnsType }

export type DnsAnswer = {
  /** Name of the code, or `RCODE 9`. */
  readonly rcode: string
  /** The datagram was too short for all of it. */
  readonly truncated: boolean
  /** Data of the records of the type that was asked for, as a zone file has it, names without the last dot. */
  readonly data: readonly string[]
}

const TYPE_NUMBERS: Readonly<Record<DnsType, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
}
const CLASS_IN = 1
const ANSWERS_MAX = 256

export function encodeQuestion(id: number, { name, type }: DnsQuestion): Buffer {
  const head = Buffer.alloc(12)
  head.writeUInt16BE(id, 0)
  // Recursion desired; one question.
  head.writeUInt16BE(0x0100, 2)
  head.writeUInt16BE(1, 4)
  const tail = Buffer.alloc(4)
  tail.writeUInt16BE(TYPE_NUMBERS[type], 0)
  tail.writeUInt16BE(CLASS_IN, 2)
  return Buffer.concat([head, encodeName(name), tail])
}

/** `stray`: not the answer to this question, whoever sent it; `garbage`: it says that it is, and cannot be read. */
export function decodeAnswer(
  id: number,
  question: DnsQuestion,
  bytes: Buffer,
): DnsAnswer | 'stray' | 'garbage' {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== id) return 'stray'
  const flags = bytes.readUInt16BE(2)
  if ((flags & 0x8000) === 0) return 'stray'
  try {
    const rcode = flags & 0xf
    const reader = new Reader(bytes, 12)
    // Servers that cannot read a question may leave it out (FORMERR, NOTIMP).
    if (bytes.readUInt16BE(4) === 1) {
      const asked = reader.name()
      const isSame =
        asked === canonicalName(question.name) &&
        reader.number(2) === TYPE_NUMBERS[question.type] &&
        reader.number(2) === CLASS_IN
      if (!isSame) return 'stray'
    } else if (rcode === 0) return 'stray'
    const count = Math.min(bytes.readUInt16BE(6), ANSWERS_MAX)
    const truncated = (flags & 0x0200) !== 0
    return {
      rcode: DNS_RCODES[rcode] ?? `RCODE ${rcode}`,
      truncated,
      data: truncated ? [] : reader.answers(count, question.type),
    }
  } catch (error) {
    if (error instanceof RangeError) return 'garbage'
    throw error
  }
}

/** As answers are compared: names in lower case, without the last dot. */
export function canonicalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '')
}

function encodeName(name: string): Buffer {
  const labels = name
    .replace(/\.$/, '')
    .split('.')
    .filter((label) => label !== '')
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]),
    Buffer.from([0]),
  ])
}

/** Throws RangeError where the bytes end too early or point in a circle. */
class Reader {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  number(size: 1 | 2 | 4): number {
    const value = this.#bytes.readUIntBE(this.#at, size)
    this.#at += size
    return value
  }

  name(): string {
    const labels: string[] = []
    let at = this.#at
    let end: number | undefined
    for (;;) {
      const length = this.#bytes.readUInt8(at)
      if (length === 0) break
      if (length < 64) {
        labels.push(this.#slice(at + 1, length).toString('latin1'))
        at += 1 + length
        if (labels.length > 127) throw new RangeError('a name that is too long')
        continue
      }
      const target = this.#bytes.readUInt16BE(at) & 0x3fff
      if (length < 0xc0 || target >= at) throw new RangeError('a pointer that is none')
      end ??= at + 2
      at = target
    }
    this.#at = end ?? at + 1
    return canonicalName(labels.join('.'))
  }

  answers(count: number, type: DnsType): string[] {
    const found: string[] = []
    for (let i = 0; i < count; i++) {
      this.name()
      const kind = this.number(2)
      this.#at += 6 // class and TTL
      const length = this.number(2)
      const end = this.#at + length
      this.#slice(this.#at, length)
      if (kind === TYPE_NUMBERS[type]) found.push(this.#data(type, end))
      this.#at = end
    }
    return found
  }

  #data(type: DnsType, end: number): string {
    switch (type) {
      case 'A':
        return bytesToIp(this.#slice(this.#at, 4))
      case 'AAAA':
        return bytesToIp(this.#slice(this.#at, 16))
      case 'CNAME':
      case 'NS':
      case 'PTR':
        return this.name()
      case 'MX':
        return `${this.number(2)} ${this.name()}`
      case 'SRV':
        return `${this.number(2)} ${this.number(2)} ${this.number(2)} ${this.name()}`
      case 'SOA': {
        const names = `${this.name()} ${this.name()}`
        const numbers = Array.from({ length: 5 }, () => this.number(4))
        return `${names} ${numbers.join(' ')}`
      }
      case 'TXT':
        return this.#texts(end)
    }
  }

  #texts(end: number): string {
    let text = ''
    while (this.#at < end) {
      const length = this.number(1)
      text += this.#slice(this.#at, length).toString('latin1')
      this.#at += length
    }
    return text
  }

  #slice(at: number, length: number): Buffer {
    if (at + length > this.#bytes.length) throw new RangeError('bytes that end too early')
    return this.#bytes.subarray(at, at + length)
  }
}
