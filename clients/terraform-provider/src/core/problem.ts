/** What is wrong with a configuration, and where; how terraform is told. */
import type { Block } from './schema.ts'
import type { Fields } from './wire.ts'

const ERROR = 1

export type Problem = {
  readonly summary: string
  /** A name first, then indices, keys and names: `['members', 'a', 'port']`. */
  readonly path?: readonly (string | number)[]
}

/** Problems that were found while something was done, such as those that a server answered. */
export class Refusal extends Error {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(({ summary }) => summary).join('; '))
    this.problems = problems
  }
}

/** The argument of a function that is to blame, counted from 0. */
export class ArgumentError extends Error {
  readonly argument: number

  constructor(argument: number, message: string) {
    super(message)
    this.argument = argument
  }
}

export function problemsOf(error: unknown): readonly Problem[] {
  if (error instanceof Refusal) return error.problems
  return [{ summary: error instanceof Error ? error.message : String(error) }]
}

/**
 * An attribute, and its element where it has elements that are found by index or key. What is deeper stands in the detail: a
 * longer path makes terraform mark another attribute of the same name.
 */
export function diagnosticMessage({ summary, path = [] }: Problem, block?: Block): Fields {
  const [name, element] = path
  if (name === undefined) return { severity: ERROR, summary }
  const steps: Fields[] = [{ attributeName: String(name) }]
  if (element !== undefined && block !== undefined && hasElements(block, String(name)))
    steps.push(
      typeof element === 'number' ? { elementKeyInt: element } : { elementKeyString: element },
    )
  const detail = path.length > steps.length ? { detail: `At ${path.join('.')}.` } : {}
  return { severity: ERROR, summary, ...detail, attribute: { steps } }
}

function hasElements({ attributes, blocks }: Block, name: string): boolean {
  const attribute = attributes.find((one) => one.name === name)
  if (attribute === undefined)
    return blocks.some((one) => one.name === name && one.nesting === 'list')
  const { type, nested } = attribute
  const kind = nested?.nesting ?? (typeof type === 'string' ? undefined : type?.[0])
  return kind === 'list' || kind === 'map'
}
