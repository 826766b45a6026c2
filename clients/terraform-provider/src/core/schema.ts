/** What a provider says of its resources, and how terraform is told. */
import type { ProviderFunction, ResourceSchema } from './provider.ts'
import type { Fields } from './wire.ts'

/** A type of cty in its JSON form: `"string"`, `["list", "string"]`, `["object", {…}]`. */
export type CtyType =
  | 'string'
  | 'number'
  | 'bool'
  | 'dynamic'
  | readonly ['list' | 'set' | 'map', CtyType]
  | readonly ['object', Readonly<Record<string, CtyType>>]

/** Of `type` and `nested` it has one. */
export type Attribute = {
  readonly name: string
  readonly type?: CtyType
  /** Objects whose attributes have rules of their own. */
  readonly nested?: Nested
  readonly required?: boolean
  readonly optional?: boolean
  readonly computed?: boolean
  readonly sensitive?: boolean
  /** Comes with each change and is kept nowhere. */
  readonly writeOnly?: boolean
  /** Of one that is optional and computed: what it is where nothing is said. */
  readonly default?: unknown
  /** Of a computed one: another after each change of its resource. */
  readonly isVolatile?: boolean
  /** At the top of a resource: another value makes another resource. */
  readonly replaces?: boolean
}

export type Nested = {
  readonly nesting: 'single' | 'list' | 'set' | 'map'
  readonly attributes: readonly Attribute[]
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

const NESTING = { single: 1, list: 2, set: 3, map: 4 } as const

export function schemaMessage(schema: ResourceSchema): Fields {
  return { version: schema.version ?? 0, block: blockMessage(schema) }
}

export function functionMessage({ summary, parameters, returns }: ProviderFunction): Fields {
  return {
    summary,
    parameters: parameters.map(({ name, type }) => ({ name, type: typeBytes(type) })),
    return: { type: typeBytes(returns) },
  }
}

function blockMessage({ attributes, blocks }: Block): Fields {
  return {
    attributes: attributes.map(attributeMessage),
    blockTypes: blocks.map(({ name, nesting, minItems, maxItems, block }) => ({
      typeName: name,
      nesting: NESTING[nesting],
      minItems: minItems ?? 0,
      maxItems: maxItems ?? 0,
      block: blockMessage(block),
    })),
  }
}

function attributeMessage({ type, nested, ...rest }: Attribute): Fields {
  const said =
    nested === undefined
      ? { type: typeBytes(type ?? 'dynamic') }
      : {
          nestedType: {
            attributes: nested.attributes.map(attributeMessage),
            nesting: NESTING[nested.nesting],
          },
        }
  return { ...rest, ...said }
}

function typeBytes(type: CtyType): Buffer {
  return Buffer.from(JSON.stringify(type))
}
