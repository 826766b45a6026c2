/** What a provider says of its resources, and how terraform is told. */
import type { Fields } from './wire.ts'

/** A type of cty in its JSON form: `"string"`, `["list", "string"]`, `["object", {…}]`. */
export type CtyType =
  | 'string'
  | 'number'
  | 'bool'
  | 'dynamic'
  | readonly ['list' | 'set' | 'map', CtyType]
  | readonly ['object', Readonly<Record<string, CtyType>>]

export type Attribute = {
  readonly name: string
  readonly type: CtyType
  readonly required?: boolean
  readonly optional?: boolean
  readonly computed?: boolean
  readonly sensitive?: boolean
  readonly writeOnly?: boolean
}

export type NestedBlock = {
  readonly name: string
  readonly nesting: 'single' | 'list' | 'set'
  /** 0 = any number. */
  readonly maxItems?: number
  readonly minItems?: number
  readonly block: Block
}

export type Block = {
  readonly attributes: readonly Attribute[]
  readonly blocks: readonly NestedBlock[]
}

const NESTING = { single: 1, list: 2, set: 3 } as const

export function schemaMessage(block: Block): Fields {
  return { version: 0, block: blockMessage(block) }
}

function blockMessage({ attributes, blocks }: Block): Fields {
  return {
    attributes: attributes.map((one) => ({ ...one, type: Buffer.from(JSON.stringify(one.type)) })),
    blockTypes: blocks.map(({ name, nesting, minItems, maxItems, block }) => ({
      typeName: name,
      nesting: NESTING[nesting],
      minItems: minItems ?? 0,
      maxItems: maxItems ?? 0,
      block: blockMessage(block),
    })),
  }
}
