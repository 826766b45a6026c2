/**
 * The schema of the AWS provider, read out of a package that was generated from it (@cdktn/provider-aws 24.1.0 = provider
 * 6.45.0): the resources that our modules use, and no other. Its sources come embedded in its source maps.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import type {
  Attribute,
  Block,
  CtyType,
  NestedBlock,
} from '../../clients/terraform-provider/src/core/schema.ts'

export type AwsSchema = {
  readonly resources: Readonly<Record<string, Block>>
  readonly dataSources: Readonly<Record<string, Block>>
}

/** `resource "aws_x"` and `data "aws_x"` as the modules name them; one that AWS does not have is left out, for terraform to refuse. */
export function readAwsSchema(library: string, hcl: readonly string[]): AwsSchema {
  const named = (word: string) => [
    ...new Set(
      hcl.flatMap((text) =>
        [...text.matchAll(new RegExp(`^${word} "aws_(\\w+)"`, 'gm'))].map(([, name]) => name ?? ''),
      ),
    ),
  ]
  const read = (names: readonly string[], prefix: string) =>
    Object.fromEntries(
      names.flatMap((name) => {
        const file = join(library, `${prefix}${name.replaceAll('_', '-')}`, 'index.js')
        return existsSync(file) ? [[`aws_${name}`, readKind(sourceOf(file))]] : []
      }),
    )
  return {
    resources: read(named('resource'), ''),
    dataSources: read(named('data'), 'data-aws-'),
  }
}

const mapSchema = z.object({ sourcesContent: z.tuple([z.string()]) })

function sourceOf(file: string): string {
  const inline = /sourceMappingURL=data:application\/json;[^,]*,([\w+/=]+)/.exec(
    readFileSync(file, 'utf8'),
  )
  const map = mapSchema.parse(JSON.parse(Buffer.from(inline?.[1] ?? '', 'base64').toString('utf8')))
  return map.sourcesContent[0]
}

function readKind(source: string): Block {
  const classes = new Map(
    source
      .split(/^export class /m)
      .slice(1)
      .map((text) => [/^\w+/.exec(text)?.[0] ?? '', text]),
  )
  const main = [...classes.values()].find((text) =>
    /^\w+ extends cdktn\.Terraform(Resource|DataSource)\b/.test(text),
  )
  if (main === undefined) throw new Error('the package has another form than was expected')
  return readBlock(main, classes)
}

const FIELD =
  /^ {2}\/\/ (\w+) - computed: (true|false), optional: (true|false), required: (true|false)\n([\s\S]*?)(?=^ {2}\/\/ \w+ - computed|^ {2}\/\/ =====|$(?![\s\S]))/gm

function readBlock(text: string, classes: ReadonlyMap<string, string>): Block {
  const attributes: Attribute[] = []
  const blocks: NestedBlock[] = []
  for (const [, name = '', ...rest] of text.matchAll(FIELD)) {
    const [computed, optional, required] = rest.slice(0, 3).map((word) => word === 'true')
    const code = rest[3] ?? ''
    const nested = /= new (\w+?)(List|OutputReference)?\(this, "\w+"(?:, (true|false))?\)/.exec(
      code,
    )
    const inner = nested === null ? undefined : classes.get(`${nested[1]}OutputReference`)
    const flags = {
      ...(required ? { required } : {}),
      ...(optional ? { optional } : {}),
      ...(computed ? { computed } : {}),
    }
    if (nested === null || inner === undefined) {
      attributes.push({ name, type: typeOf(code), ...flags })
      continue
    }
    const block = readBlock(inner, classes)
    const isList = nested[2] === 'List'
    const nesting = nested[3] === 'true' ? 'set' : 'list'
    if (computed) attributes.push({ name, type: [nesting, objectOf(block)], ...flags })
    else
      blocks.push({
        name,
        nesting: name === 'timeouts' ? 'single' : nesting,
        minItems: required ? 1 : 0,
        maxItems: isList || name === 'timeouts' ? 0 : 1,
        block,
      })
  }
  return { attributes, blocks }
}

function objectOf({ attributes, blocks }: Block): CtyType {
  return [
    'object',
    Object.fromEntries([
      ...attributes.map(({ name, type }) => [name, type ?? 'dynamic'] as const),
      ...blocks.map(({ name, block }) => [name, ['list', objectOf(block)]] as const),
    ]),
  ]
}

const TYPES: readonly (readonly [RegExp, CtyType])[] = [
  [/Fn\.tolist\(this\.getListAttribute/, ['set', 'string']],
  [/Fn\.tolist\(this\.getNumberListAttribute|cdktn\.Token\.asNumberList/, ['set', 'number']],
  [/getListAttribute/, ['list', 'string']],
  [/getNumberListAttribute/, ['list', 'number']],
  [/getStringMapAttribute|cdktn\.StringMap\(/, ['map', 'string']],
  [/getNumberMapAttribute|cdktn\.NumberMap\(/, ['map', 'number']],
  [/getBooleanMapAttribute|cdktn\.BooleanMap\(/, ['map', 'bool']],
  [/getStringAttribute/, 'string'],
  [/getNumberAttribute/, 'number'],
  [/getBooleanAttribute|cdktn\.IResolvable/, 'bool'],
]

function typeOf(code: string): CtyType {
  return TYPES.find(([form]) => form.test(code))?.[1] ?? 'dynamic'
}
