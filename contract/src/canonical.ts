/**
 * The one canonical text of a JSON value: keys sorted by code unit, no white space, no undefined.
 * Digests and signatures are over this text, so equal values have equal digests on every machine.
 */

/** Canonical JSON; throws on what JSON cannot say (NaN, infinities, functions, bigint). */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') {
    return JSON.stringify(value)
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Error(`no canonical JSON for the number ${value}`)
    return JSON.stringify(value)
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object') {
    const fields: string[] = []
    for (const [key, field] of Object.entries(value).toSorted(byKey)) {
      if (field !== undefined) fields.push(`${JSON.stringify(key)}:${canonicalJson(field)}`)
    }
    return `{${fields.join(',')}}`
  }
  throw new Error(`no canonical JSON for a ${typeof value}`)
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

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0
}
