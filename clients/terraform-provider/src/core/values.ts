/** Values as terraform sends them: MessagePack, in which an extension says "not known before apply". */
import { decode, encode, ExtensionCodec } from '@msgpack/msgpack'
import type { Fields } from './wire.ts'

/** A value that is known after apply. It never becomes JSON: sent somewhere as text it would be stored as if it were one. */
export class Unknown {
  toJSON(): never {
    throw new Error('a value that is not known yet cannot be sent')
  }
}
export const UNKNOWN = new Unknown()

const codec = new ExtensionCodec()
codec.register({
  type: 0,
  encode: (value) => (value instanceof Unknown ? new Uint8Array([0]) : null),
  decode: () => UNKNOWN,
})
// Unknown with what is known of it nevertheless.
codec.register({ type: 12, encode: () => null, decode: () => UNKNOWN })

export function packValue(value: unknown): { msgpack: Uint8Array } {
  return { msgpack: encode(value, { extensionCodec: codec, ignoreUndefined: true }) }
}

/** A missing value is null. */
export function unpackValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return null
  const { msgpack, json } = value as Fields
  if (msgpack instanceof Uint8Array && msgpack.length > 0)
    return decode(msgpack, { extensionCodec: codec })
  return json instanceof Uint8Array && json.length > 0
    ? JSON.parse(Buffer.from(json).toString('utf8'))
    : null
}
