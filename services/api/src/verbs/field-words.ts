/**
 * What zod finds of fields, in our words: one that nobody knows, with the one that was probably meant; and one that is
 * not there at all. zod tells neither once it is done, so it is heard while it looks; for the whole process, because
 * most bodies are parsed where no words can be given along.
 */
import leven from 'leven'
import * as z from 'zod'

/** How the message of a field begins that is not there. */
export const MISSING = 'is missing: '

/** Fields of the object in which keys were found that nobody knows; zod keeps the list of those to the end. */
const fieldsBeside = new WeakMap<readonly string[], readonly string[]>()

z.config({
  customError: (issue) => {
    if (issue.code === 'unrecognized_keys' && issue.inst instanceof z.ZodObject)
      fieldsBeside.set(issue.keys, Object.keys(issue.inst.shape))
    if (issue.code === 'invalid_type' && issue.input === undefined)
      return `${MISSING}${article(issue.expected)} belongs here`
    return undefined
  },
})

/** Longer than any field: what is no slip of the hand is not worth the time, which grows with it. */
const SLIP_MAX = 40

/** The field that `key` was probably meant to be, of those that stand beside it. */
export function meantBy(key: string, { keys }: { readonly keys: readonly string[] }) {
  if (key.length > SLIP_MAX) return undefined
  const said = plain(key)
  const byDistance = (fieldsBeside.get(keys) ?? [])
    .map((field) => ({ field, distance: leven(said, plain(field)) }))
    .toSorted((a, b) => a.distance - b.distance)
  const [nearest] = byDistance
  // A letter of four may be wrong, and two letters that changed places count as two.
  const most = Math.max(1, Math.min(3, Math.floor(said.length / 3)))
  return nearest !== undefined && nearest.distance <= most ? nearest.field : undefined
}

/** drain_seconds, drain-seconds and DrainSeconds are drainSeconds to whoever writes them. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '')
}

function article(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`
}
