/**
 * Protocol buffers by tables of fields: an object ↔ bytes. Takes what a message's table says and nothing more; fields that
 * a newer peer adds are skipped. Wire format: protobuf.dev, "Encoding".
 */
export type FieldType = 'string' | 'bytes' | 'bool' | 'int' | Message | { readonly mapOf: Message }
export type Field = {
  readonly number: number
  readonly type: FieldType
  readonly repeated?: true
}
/** By the name under which a field is found in the object. */
export type Message = { readonly fields: Readonly<Record<string, Field>> }
export type Fields = Readonly<Record<string, unknown>>

const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5

export const message = (fields: Message['fields']): Message => ({ fields })

export function encode({ fields }: Message, value: Fields): Buffer {
  const parts: Buffer[] = []
  for (const [name, field] of Object.entries(fields)) {
    const held = value[name]
    if (held === undefined || held === null) continue
    const items = Array.isArray(held) && field.repeated ? held : [held]
    for (const item of items) parts.push(...encodeField(field, item))
  }
  return Buffer.concat(parts)
}

function encodeField({ number, type }: Field, value: unknown): Buffer[] {
  if (type === 'bool' || type === 'int') {
    return [varint((number << 3) | VARINT), varint(Number(value))]
  }
  if (typeof type === 'object' && 'mapOf' in type) {
    return Object.entries(asFields(value)).flatMap(([key, item]) => {
      const pair = { key, value: item }
      return encodeField({ number, type: pairOf(type.mapOf) }, pair)
    })
  }
  const body = bodyOf(type, value)
  return [varint((number << 3) | LENGTH), varint(body.length), body]
}

function bodyOf(type: 'string' | 'bytes' | Message, value: unknown): Buffer {
  if (type === 'string') return Buffer.from(String(value))
  if (type !== 'bytes') return encode(type, asFields(value))
  if (value instanceof Uint8Array) return Buffer.from(value)
  throw new Error('a field of bytes was given something else')
}

function pairOf(value: Message): Message {
  return message({
    key: { number: 1, type: 'string' },
    value: { number: 2, type: value },
  })
}

export function decode({ fields }: Message, bytes: Uint8Array): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  const byNumber = new Map(Object.entries(fields).map((entry) => [entry[1].number, entry]))
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < buffer.length;) {
    const tag = readVarint(buffer, at)
    const kind = tag.value & 7
    const found = byNumber.get(tag.value >>> 3)
    let value: number | Buffer
    if (kind === VARINT) {
      const read = readVarint(buffer, tag.next)
      value = read.value
      at = read.next
    } else if (kind === LENGTH) {
      const length = readVarint(buffer, tag.next)
      at = length.next + length.value
      if (at > buffer.length) throw new Error('a field is longer than its message')
      value = buffer.subarray(length.next, at)
    } else if (kind === FIXED32 || kind === FIXED64) {
      at = tag.next + (kind === FIXED32 ? 4 : 8)
      continue
    } else throw new Error(`wire type ${kind} is unknown`)
    if (found === undefined) continue
    const [name, field] = found
    if (typeof field.type === 'object' && 'mapOf' in field.type) {
      const pair = decode(pairOf(field.type.mapOf), asBytes(value))
      result[name] = { ...asFields(result[name] ?? {}), [String(pair['key'])]: pair['value'] }
    } else {
      const item = valueOf(field.type, value)
      const before = result[name]
      result[name] = field.repeated ? [...(Array.isArray(before) ? before : []), item] : item
    }
  }
  return result
}

function valueOf(type: Exclude<FieldType, { mapOf: Message }>, value: number | Buffer): unknown {
  if (type === 'int') return value
  if (type === 'bool') return value === 1
  if (type === 'string') return asBytes(value).toString('utf8')
  return type === 'bytes' ? asBytes(value) : decode(type, asBytes(value))
}

function asBytes(value: number | Buffer): Buffer {
  if (typeof value === 'number')
    throw new Error('a field has another wire type than its table says')
  return value
}

function asFields(value: unknown): Fields {
  if (typeof value !== 'object' || value === null) throw new Error('a message must be an object')
  return { ...value }
}

/** Whole numbers from 0 to 2^53 - 1, which is all that the tables here need. */
function varint(value: number): Buffer {
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${value} is no varint of ours`)
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  bytes.push(rest)
  return Buffer.from(bytes)
}

function readVarint(buffer: Buffer, start: number): { value: number; next: number } {
  let value = 0
  for (let at = start, factor = 1; at < start + 10; at++, factor *= 128) {
    const byte = buffer[at]
    if (byte === undefined) throw new Error('a message ends within a number')
    value += (byte & 127) * factor
    if (byte < 128) return { value, next: at + 1 }
  }
  throw new Error('a number has more than ten bytes')
}
