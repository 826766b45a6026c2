/** JSON merge patch, RFC 7396: null removes, objects merge, all else replaces. Pure. */
type Json = Readonly<Record<string, unknown>>

export function mergePatch(target: Json, patch: Json): Json {
  const merged = new Map(Object.entries(target))
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else if (isObject(value)) {
      const old = merged.get(key)
      merged.set(key, mergePatch(isObject(old) ? old : {}, value))
    } else merged.set(key, value)
  }
  return Object.fromEntries(merged)
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
