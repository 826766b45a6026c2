/**
 * Words of a command line → options and positionals, as util.parseArgs has them, which decides wherever a word is not of the
 * plainest kind. Node loads a dozen of modules with node:util, and a start should not wait for them.
 */
import type { ParseArgsConfig, parseArgs } from 'node:util'

type Options = NonNullable<ParseArgsConfig['options']>
type Parsed<T extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: T; allowPositionals: true }>
>

/** Throws what parseArgs throws. */
export function parseCommandLine<const T extends Options>(
  args: readonly string[],
  options: T,
): Parsed<T> {
  const plain = parsePlainly(args, options)
  // Same options, same shape: what is in it was looked up in them.
  if (plain !== undefined) return plain as Parsed<T>
  const { parseArgs: parse } = process.getBuiltinModule('node:util')
  return parse({ args: [...args], options, allowPositionals: true })
}

type Plain = {
  readonly values: Readonly<Record<string, string | boolean | string[]>>
  readonly positionals: readonly string[]
}

/** `command --flag --option value`; undefined where anything is otherwise. */
export function parsePlainly(args: readonly string[], options: Options): Plain | undefined {
  const values: Record<string, string | boolean | string[]> = {}
  const positionals: string[] = []
  const words = args[Symbol.iterator]()
  for (const word of words) {
    if (/^[a-z]/.test(word)) {
      positionals.push(word)
      continue
    }
    const name = /^--([a-z-]+)$/.exec(word)?.[1] ?? ''
    const option = Object.hasOwn(options, name) ? options[name] : undefined
    if (option === undefined || name in values || option.multiple === true) return undefined
    if (option.type === 'boolean') values[name] = true
    else {
      const next = words.next()
      if (next.done === true || !/^[^-]/.test(next.value)) return undefined
      values[name] = next.value
    }
  }
  return { values, positionals }
}
