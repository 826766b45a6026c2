/**
 * Cuts the lists of destinations out of the text of a shard, so that the parser need not make tens of thousands of
 * objects of which most are equal to one that is known. Each list becomes a string that nobody can have written.
 *
 * The text is canonical JSON in all that we publish: a list starts with `"destinations":[{"address":` and its
 * elements meet at `},{"address":`. Text that looks otherwise, or an element that is no destination, gives
 * undefined: the caller then parses the whole. It is safe for any text: unescaped quotes stand at the ends of
 * strings only, so a match cannot lie within one, and a string in place of a list is JSON just where the list was.
 */

const LIST = '"destinations":['
const FIRST = '{"address":'
const NEXT = '},{"address":'
const LAST = '}]'

export type Cut<T> = {
  /** The text with a string for each list. */
  readonly rest: string
  /** By those strings. */
  readonly lists: ReadonlyMap<string, T[]>
}

/** `secret`: what stands in place of lists begins with it. `read`: an element from its own text; undefined where it is none. */
export function cutDestinations<T>(
  text: string,
  secret: string,
  read: (element: string) => T | undefined,
): Cut<T> | undefined {
  const lists = new Map<string, T[]>()
  let rest = ''
  let copied = 0
  for (;;) {
    const found = text.indexOf(LIST, copied)
    if (found === -1) return { rest: rest + text.slice(copied), lists }
    const start = found + LIST.length
    const list: T[] = []
    let end = start
    if (text.startsWith(FIRST, start)) {
      const last = text.indexOf(LAST, start)
      if (last === -1) return undefined
      for (let at = start, more = true; more; at = end + 1) {
        const next = text.indexOf(NEXT, at)
        more = next !== -1 && next < last
        end = (more ? next : last) + 1
        const element = read(text.slice(at, end))
        if (element === undefined) return undefined
        list.push(element)
      }
    }
    if (text[end] !== ']') return undefined
    const name = `${secret}${lists.size}`
    rest += `${text.slice(copied, start - 1)}"${name}"`
    lists.set(name, list)
    copied = end + 1
  }
}
