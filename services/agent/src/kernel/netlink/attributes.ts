/**
 * Attribute sets as tables: name, number and codec of each attribute, once, for both directions.
 * Unknown attributes are skipped (newer kernels add some); malformed lengths throw.
 */
import { align4, NLA_F_NESTED, NLA_HEADER_BYTES, NLA_TYPE_MASK } from './constants.ts'
import { malformed } from './message.ts'
import type { MessageWriter } from './message-writer.ts'
import { s32At, u16At, u32At } from './read-number.ts'

/** How one kind of value stands in an attribute. Methods, not properties: tables mix value types. */
export type Codec<T> = {
  /** Set on the type of attributes that hold attributes. */
  readonly nested?: true
  write(writer: MessageWriter, value: T): void
  read(bytes: Buffer, start: number, end: number): T
}

export type Field<T> = { readonly number: number; readonly codec: Codec<T> }
type Fields = Readonly<Record<string, Field<unknown>>>

/** Values of a table; every one optional, because neither side must send all. */
export type AttributeValues<F extends Fields> = {
  [K in keyof F]?: F[K] extends Field<infer T> ? T : never
}

export class AttributeTable<F extends Fields> {
  private readonly fields: readonly (Field<unknown> & { readonly name: keyof F & string })[]
  private readonly byNumber: (AttributeTable<F>['fields'][number] | undefined)[] = []

  constructor(fields: F) {
    this.fields = Object.entries(fields).map(([name, field]) => ({ name, ...field }))
    for (const field of this.fields) this.byNumber[field.number] = field
  }

  /** Writes the values that are given, in table order. */
  encode(writer: MessageWriter, values: AttributeValues<F>): void {
    for (const { name, number, codec } of this.fields) {
      const value: unknown = values[name]
      if (value === undefined) continue
      const at = writer.openAttribute(codec.nested === true ? number | NLA_F_NESTED : number)
      codec.write(writer, value)
      writer.closeAttribute(at)
    }
  }

  decode(bytes: Buffer, start: number, end: number): AttributeValues<F> {
    const values: Record<string, unknown> = {}
    for (let at = start; at < end;) {
      if (end - at < NLA_HEADER_BYTES) throw malformed('an attribute header is cut')
      const length = u16At(bytes, at)
      if (length < NLA_HEADER_BYTES || at + length > end) {
        throw malformed(`an attribute of ${length} bytes where ${end - at} are left`)
      }
      const field = this.byNumber[u16At(bytes, at + 2) & NLA_TYPE_MASK]
      if (field !== undefined) {
        values[field.name] = field.codec.read(bytes, at + NLA_HEADER_BYTES, at + length)
      }
      at += align4(length)
    }
    // The table's own codecs made each value, which the record's type cannot say.
    return values as AttributeValues<F>
  }
}

/** A value that the kernel always sends. */
export function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw malformed(`${what} is missing`)
  return value
}

function checkSize(start: number, end: number, size: number): void {
  if (end - start !== size) throw malformed(`a value of ${end - start} bytes instead of ${size}`)
}

export const u8: Codec<number> = {
  write: (writer, value) => writer.u8(value),
  read: (bytes, start, end) => {
    checkSize(start, end, 1)
    return bytes[start] ?? 0
  },
}

export const u16: Codec<number> = {
  write: (writer, value) => writer.u16(value),
  read: (bytes, start, end) => {
    checkSize(start, end, 2)
    return u16At(bytes, start)
  },
}

/** Network byte order: ports. */
export const be16: Codec<number> = {
  write: (writer, value) => writer.be16(value),
  read: (bytes, start, end) => {
    checkSize(start, end, 2)
    return ((bytes[start] ?? 0) << 8) | (bytes[start + 1] ?? 0)
  },
}

export const u32: Codec<number> = {
  write: (writer, value) => writer.u32(value),
  read: (bytes, start, end) => {
    checkSize(start, end, 4)
    return u32At(bytes, start)
  },
}

export const s32: Codec<number> = {
  write: (writer, value) => writer.s32(value),
  read: (bytes, start, end) => {
    checkSize(start, end, 4)
    return s32At(bytes, start)
  },
}

export const u64: Codec<bigint> = {
  write: (writer, value) => writer.u64(value),
  read: (bytes, start, end) => {
    checkSize(start, end, 8)
    return bytes.readBigUInt64LE(start)
  },
}

/** Text up to its NUL; the kernel pads names. */
export const text: Codec<string> = {
  write: (writer, value) => writer.text(value),
  read: (bytes, start, end) => {
    const nul = bytes.indexOf(0, start)
    return bytes.toString('utf8', start, nul === -1 || nul > end ? end : nul)
  },
}

/** Bytes of any length; read as a copy, so that it does not hold the datagram in memory. */
export const binary: Codec<Uint8Array> = {
  write: (writer, value) => writer.raw(value),
  read: (bytes, start, end) => new Uint8Array(bytes.subarray(start, end)),
}

export function nested<F extends Fields>(table: AttributeTable<F>): Codec<AttributeValues<F>> {
  return {
    nested: true,
    write: (writer, values) => table.encode(writer, values),
    read: (bytes, start, end) => table.decode(bytes, start, end),
  }
}
