/**
 * The one canonical text of a JSON value: keys sorted by code unit, no white space, no undefined.
 * Digests and signatures are over this text, so equal values have equal digests on every machine.
 */

/** Canonical JSON; throws on what JSON cannot say (NaN, infinities, functions, bigint). */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Error(`no canonical JSON for the number ${value}`)
    return `${value}`
  }
  if (value === null || typeof value === 'boolean') return `${value}`
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (isFields(value)) return canonicalFields(value)
  throw new Error(`no canonical JSON for a ${typeof value}`)
}

type Fields = Readonly<Record<string, unknown>>

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Most objects have their keys in order already, and then they are only looked at. */
function canonicalFields(fields: Fields): string {
  const keys = Object.keys(fields)
  // By code unit, which is what sorting without a rule of one's own means.
  if (!isSorted(keys)) keys.sort()
  let text = ''
  for (const key of keys) {
    const field = fields[key]
    if (field === undefined) continue
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(field)}`
  }
  return `{${text}}`
}

function isSorted(keys: readonly string[]): boolean {
  let before = ''
  for (const key of keys) {
    if (key < before) return false
    before = key
  }
  return true
}

/** Whether two values have one canonical text, without writing it. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => sameJson(item, b[i]))
  }
  return isFields(a) && isFields(b) && haveSameFields(a, b)
}

/** One that is undefined is as good as absent. */
function haveSameFields(a: Fields, b: Fields): boolean {
  for (const key of Object.keys(a)) if (!sameJson(a[key], b[key])) return false
  for (const key of Object.keys(b)) if (a[key] === undefined && b[key] !== undefined) return false
  return true
}

/** 32-bit FNV-1a of a text (code units below 256 expected): for buckets and short stable names, never for trust. */
export function fnv1a32(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i)
    hash = Math.imul(hash, 0x01000193)
  }
  return hash >>> 0
}
