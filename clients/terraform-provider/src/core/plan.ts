/**
 * What a resource will be: takes its schema, what it is, what terraform proposes and what the operator wrote; gives the
 * planned value, with UNKNOWN where only doing it will tell, and which attributes make it another resource. Pure.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Change } from './provider.ts'
import type { Attribute, Block } from './schema.ts'
import { UNKNOWN, Unknown } from './values.ts'

type Values = Readonly<Record<string, unknown>>

/** What is so for the whole resource. */
type Moment = { readonly isChanged: boolean }

export function planChange(block: Block, { prior, planned, config }: Change): unknown {
  if (!isObject(planned)) return planned
  const unchanged = planBlock(block, planned, config, { isChanged: false })
  if (isDeepStrictEqual(prior, unchanged)) return unchanged
  return planBlock(block, planned, config, { isChanged: true })
}

/** Names of the attributes whose new values cannot be had in place. */
export function replacedBy({ attributes }: Block, prior: unknown, planned: unknown): string[] {
  if (!isObject(prior) || !isObject(planned)) return []
  return attributes
    .filter(({ name, replaces }) => replaces && !isDeepStrictEqual(prior[name], planned[name]))
    .map(({ name }) => name)
}

/** As it may be kept: write-only values are null at every depth. */
export function withoutWriteOnly(block: Block, value: unknown): unknown {
  return mapBlock(block, value, (attribute, held) => (attribute.writeOnly === true ? null : held))
}

function planBlock(block: Block, value: Values, config: unknown, moment: Moment): Values {
  const written = isObject(config) ? config : {}
  const attributes = block.attributes.map((attribute) => {
    const { name } = attribute
    return [name, planAttribute(attribute, value[name] ?? null, written[name], moment)] as const
  })
  const blocks = block.blocks.map(({ name, block: inner }) => {
    const plan = (item: unknown, said: unknown) =>
      isObject(item) ? planBlock(inner, item, said, moment) : item
    return [name, mapElements(value[name] ?? null, written[name], plan)] as const
  })
  return Object.fromEntries([...attributes, ...blocks])
}

/** `written` is undefined where the element of the configuration cannot be told, as within sets. */
function planAttribute(
  attribute: Attribute,
  proposed: unknown,
  written: unknown,
  moment: Moment,
): unknown {
  if (attribute.writeOnly === true) return null
  if (attribute.computed === true) {
    const isOpen = written === null || (written === undefined && proposed === null)
    if (isOpen && attribute.default !== undefined) return attribute.default
    if (isOpen && (proposed === null || (attribute.isVolatile === true && moment.isChanged)))
      return UNKNOWN
  }
  const { nested } = attribute
  if (nested === undefined) return proposed
  const inner: Block = { attributes: nested.attributes, blocks: [] }
  const plan = (item: unknown, said: unknown) =>
    isObject(item) ? planBlock(inner, item, said, moment) : item
  if (nested.nesting === 'single') return plan(proposed, written)
  if (nested.nesting !== 'map' || !isObject(proposed)) {
    // Elements of sets have no place by which they could be found in the configuration.
    return mapElements(proposed, nested.nesting === 'set' ? undefined : written, plan)
  }
  const said = isObject(written) ? written : {}
  return Object.fromEntries(
    Object.entries(proposed).map(([key, item]) => [key, plan(item, said[key])]),
  )
}

function mapBlock(
  block: Block,
  value: unknown,
  change: (attribute: Attribute, held: unknown) => unknown,
): unknown {
  if (!isObject(value)) return value
  const attributes = block.attributes.map((attribute) => {
    const held = change(attribute, value[attribute.name] ?? null)
    const { nested } = attribute
    if (nested === undefined) return [attribute.name, held] as const
    const inner = (item: unknown) =>
      mapBlock({ attributes: nested.attributes, blocks: [] }, item, change)
    if (nested.nesting === 'map' && isObject(held))
      return [
        attribute.name,
        Object.fromEntries(Object.entries(held).map(([key, item]) => [key, inner(item)])),
      ] as const
    return [attribute.name, mapElements(held, undefined, inner)] as const
  })
  const blocks = block.blocks.map(
    ({ name, block: inner }) =>
      [
        name,
        mapElements(value[name] ?? null, undefined, (item) => mapBlock(inner, item, change)),
      ] as const,
  )
  return Object.fromEntries([...attributes, ...blocks])
}

/** Of a list or set each element, of anything else itself. */
function mapElements(
  value: unknown,
  written: unknown,
  change: (item: unknown, said: unknown) => unknown,
): unknown {
  if (!Array.isArray(value)) return change(value, written)
  const said: readonly unknown[] = Array.isArray(written) ? written : []
  return value.map((item, n) => change(item, said[n]))
}

function isObject(value: unknown): value is Values {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Unknown)
  )
}
