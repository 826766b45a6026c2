/**
 * A stand-in for the AWS provider: the true schema, resources in terraform's own state, and invented values for what
 * AWS would compute. It reaches nothing.
 */
import type { Block, CtyType } from '../../clients/terraform-provider/src/core/schema.ts'
import type { Provider } from '../../clients/terraform-provider/src/core/provider.ts'
import { UNKNOWN, Unknown } from '../../clients/terraform-provider/src/core/values.ts'
import type { AwsSchema } from './aws-schema.ts'

type Values = Readonly<Record<string, unknown>>

const PROVIDER: Block = {
  attributes: [
    { name: 'region', type: 'string', optional: true },
    { name: 'profile', type: 'string', optional: true },
  ],
  blocks: [
    {
      name: 'default_tags',
      nesting: 'list',
      maxItems: 1,
      block: {
        attributes: [{ name: 'tags', type: ['map', 'string'], optional: true }],
        blocks: [],
      },
    },
  ],
}

/** The package has no ephemeral resources; this one is written by hand, after its documentation. */
const RANDOM_PASSWORD: Block = {
  attributes: [
    { name: 'exclude_characters', type: 'string', optional: true },
    { name: 'exclude_lowercase', type: 'bool', optional: true },
    { name: 'exclude_numbers', type: 'bool', optional: true },
    { name: 'exclude_punctuation', type: 'bool', optional: true },
    { name: 'exclude_uppercase', type: 'bool', optional: true },
    { name: 'include_space', type: 'bool', optional: true },
    { name: 'password_length', type: 'number', optional: true },
    { name: 'random_password', type: 'string', computed: true },
    { name: 'region', type: 'string', optional: true, computed: true },
    { name: 'require_each_included_type', type: 'bool', optional: true },
  ],
  blocks: [],
}

const ephemerals = { aws_secretsmanager_random_password: RANDOM_PASSWORD }

/** The package does not say which arguments are write-only; AWS names them so. */
function markWriteOnly(block: Block): Block {
  return {
    attributes: block.attributes.map((one) =>
      one.name.endsWith('_wo') ? { ...one, writeOnly: true } : one,
    ),
    blocks: block.blocks,
  }
}

/** Missing computed values become what `instead` gives; write-only ones are never kept. */
function fill(
  block: Block,
  value: unknown,
  instead: (path: string, type: CtyType) => unknown,
): unknown {
  if (typeof value !== 'object' || value === null) return value
  const given = value as Values
  const attributes = block.attributes.map(({ name, type, computed, writeOnly }) => {
    const held = given[name] ?? null
    if (writeOnly === true) return [name, null] as const
    const isOpen = held === null || held instanceof Unknown
    return [name, computed === true && isOpen ? instead(name, type ?? 'dynamic') : held] as const
  })
  const blocks = block.blocks.map(({ name, block: inner }) => {
    const held = given[name] ?? null
    const filled = Array.isArray(held)
      ? held.map((item) => fill(inner, item, instead))
      : fill(inner, held, instead)
    return [name, filled] as const
  })
  return Object.fromEntries([...attributes, ...blocks])
}

let made = 0

/** What the modules, or the API that reads their outputs, take apart again. */
const FORMS: Readonly<Record<string, (number: number) => string>> = {
  'aws_region.region': () => 'eu-central-1',
  'aws_caller_identity.account_id': () => '123456789012',
  'aws_partition.partition': () => 'aws',
  'aws_instance.id': (number) => `i-${number.toString(16).padStart(17, '0')}`,
  'aws_lambda_function_url.function_url': (number) =>
    `https://double${number}.lambda-url.eu-central-1.on.aws/`,
}

function invent(kind: string): (name: string, type: CtyType) => unknown {
  const number = ++made
  const value = (name: string, type: CtyType): unknown => {
    const form = FORMS[`${kind}.${name}`]
    if (form !== undefined) return form(number)
    if (type === 'string')
      return name === 'arn' ? `arn:aws:double:::${kind}/${number}` : `${kind}-${name}-${number}`
    if (type === 'number') return number
    if (type === 'bool') return false
    if (type === 'dynamic') return null
    if (type[0] === 'object')
      return Object.fromEntries(Object.entries(type[1]).map(([key, one]) => [key, value(key, one)]))
    if (type[0] === 'map') return {}
    return type[1] === 'string'
      ? [`${kind}-${name}-${number}-a`, `${kind}-${name}-${number}-b`]
      : []
  }
  return value
}

const blockOf = (blocks: Readonly<Record<string, Block>>, type: string): Block => {
  const block = blocks[type]
  if (block === undefined) throw new Error(`${type} is unknown`)
  return block
}

export function makeDouble({ dataSources, resources: read }: AwsSchema): Provider {
  const resources = Object.fromEntries(
    Object.entries(read).map(([name, block]) => [name, markWriteOnly(block)]),
  )
  return {
    provider: PROVIDER,
    resources,
    dataSources,
    ephemerals,
    configure: () => Promise.resolve(),
    plan: ({ type, planned }) =>
      Promise.resolve(
        planned === null ? null : fill(blockOf(resources, type), planned, () => UNKNOWN),
      ),
    apply: ({ type, planned }) =>
      Promise.resolve(
        planned === null ? null : fill(blockOf(resources, type), planned, invent(type)),
      ),
    read: (_, state) => Promise.resolve(state),
    readData: (type, config) =>
      Promise.resolve(fill(blockOf(dataSources, type), config, invent(type))),
    open: (type, config) =>
      Promise.resolve({ result: fill(blockOf(ephemerals, type), config, invent(type)) }),
    isLoose: true,
  }
}
