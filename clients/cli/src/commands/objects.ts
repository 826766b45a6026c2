/** get, delete, activate, weight: single objects of the intent. */
import type { Command } from 'commander'
import * as z from 'zod'
import { itemListSchema, mutationSchema, writtenSchema } from '../answers.ts'
import { CliError } from '../cli-error.ts'
import { formatMutation } from '../output/plan.ts'
import { printValue, write } from '../output/print.ts'
import { formatTable } from '../output/table.ts'
import { contextOf, type Context } from './context.ts'
import { readPages } from './pages.ts'

const KINDS = [
  'sites',
  'directors',
  'real-servers',
  'pools',
  'virtual-services',
  'overrides',
  'drains',
] as const
/** Kinds that have a state to change. */
export const DRAINABLE = ['sites', 'directors', 'real-servers'] as const

export function addObjectCommands(program: Command): void {
  program
    .command('get')
    .description(`list or show objects: ${KINDS.join(', ')}`)
    .argument('<kind>')
    .argument('[name]')
    .addHelpText('after', '\nExamples:\n  lvsfleet get pools\n  lvsfleet get pools web -o yaml')
    .action(async (kind: string, name: string | undefined, _: object, command: Command) =>
      get(contextOf(command), kindPath(kind), name),
    )
  program
    .command('delete')
    .description('delete one object; refused while others refer to it')
    .argument('<kind>')
    .argument('<name>')
    .option('--dry-run', 'show what would change')
    .option('--allow-shrink', 'allow a change that removes much from a director')
    .action(async (kind: string, name: string, options: ChangeOptions, command: Command) =>
      change(contextOf(command), { method: 'DELETE', path: objectPath(kind, name) }, options),
    )
  program
    .command('activate')
    .description(`take new connections there again: ${DRAINABLE.join(', ')}`)
    .argument('<kind>')
    .argument('<name>')
    .option('--dry-run', 'show what would change')
    .addHelpText('after', '\nExample:\n  lvsfleet activate sites b')
    .action(async (kind: string, name: string, options: ChangeOptions, command: Command) =>
      setState(contextOf(command), { kind, name, state: 'active' }, options),
    )
  program
    .command('weight')
    .description('change the weight of one member of a pool')
    .argument('<pool>')
    .argument('<real-server>')
    .argument('<weight>')
    .option('--dry-run', 'show what would change')
    .addHelpText('after', '\nExample:\n  lvsfleet weight web rs-a1 300')
    .action(
      async (
        pool: string,
        server: string,
        weight: string,
        options: ChangeOptions,
        command: Command,
      ) => setWeight(contextOf(command), { pool, server, weight }, options),
    )
}

type ChangeOptions = { readonly dryRun?: boolean; readonly allowShrink?: boolean }

type ObjectChange = {
  readonly method: 'PATCH' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly ifMatch?: string
}

async function change(
  { api, output }: Context,
  request: ObjectChange,
  options: ChangeOptions,
): Promise<void> {
  const dryRun = options.dryRun === true
  const query = {
    // One field of one object: last writer wins, unless the change was made from what was read.
    force: request.ifMatch === undefined && request.method === 'PATCH' ? 'true' : undefined,
    dryRun: dryRun ? 'true' : undefined,
    allowShrink: options.allowShrink === true ? 'true' : undefined,
  }
  const { text } = await api.send({ ...request, query })
  if (text === '') return write('done')
  const answer: unknown = JSON.parse(text)
  if (dryRun) {
    const mutation = mutationSchema.parse(answer)
    return printValue(mutation, output, () => formatMutation(mutation, { dryRun }))
  }
  printValue(answer, output, () => `done in revision ${writtenSchema.parse(answer).revision}`)
}

export async function setState(
  context: Context,
  { kind, name, state }: { kind: string; name: string; state: string },
  options: ChangeOptions,
): Promise<void> {
  const path = kindPath(kind)
  if (DRAINABLE.every((drainable) => drainable !== path)) {
    throw new CliError(`${kind} have no state: only ${DRAINABLE.join(', ')} do`, 2)
  }
  await change(context, { method: 'PATCH', path: objectPath(kind, name), body: { state } }, options)
}

/** Read, change one number, write back under the version that was read: nobody's change is lost. */
async function setWeight(
  context: Context,
  { pool, server, weight }: { pool: string; server: string; weight: string },
  options: ChangeOptions,
): Promise<void> {
  const value = Number(weight)
  if (!Number.isInteger(value) || value < 0 || value > 65_535) {
    throw new CliError(`weight ${weight} is not a whole number from 0 to 65535`, 2)
  }
  const path = objectPath('pools', pool)
  const { text, etag } = await context.api.send({ path })
  const { members } = poolSchema.parse(JSON.parse(text))
  if (!members.some((member) => member.realServer === server)) {
    throw new CliError(`pool ${pool} does not list ${server}`, 1)
  }
  const body = {
    members: members.map((member) =>
      member.realServer === server ? { ...member, weight: value } : member,
    ),
  }
  const ifMatch = etag === null ? {} : { ifMatch: etag }
  await change(context, { method: 'PATCH', path, body, ...ifMatch }, options)
}

const poolSchema = z.object({ members: z.array(z.looseObject({ realServer: z.string() })) })

async function get(
  { api, output }: Context,
  kind: string,
  name: string | undefined,
): Promise<void> {
  if (name !== undefined) {
    const object = await api.json({ path: objectPath(kind, name) })
    return printValue(object, output ?? 'yaml', () => '')
  }
  const items = await readPages(api, `/v1/${kind}`, itemListSchema)
  printValue(items, output, () => objectTable(kind, items))
}

/** The columns that tell objects of a kind apart at a glance. */
const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  sites: ['state', 'networks', 'labels'],
  directors: ['site', 'addresses', 'state', 'labels'],
  'real-servers': ['site', 'addresses', 'state', 'gateway', 'labels'],
  pools: ['members', 'selector'],
  'virtual-services': [
    'protocol',
    'vips',
    'ports',
    'firewallMark',
    'scheduler',
    'pool',
    'forwarding',
    'carriedBy',
  ],
  overrides: ['realServer', 'pool', 'kind', 'weight', 'expiresAt', 'owner', 'reason'],
  drains: ['realServer', 'pool', 'site', 'director', 'deadline', 'owner', 'reason'],
}

function objectTable(kind: string, items: readonly Readonly<Record<string, unknown>>[]): string {
  const columns = ['name', ...(COLUMNS[kind] ?? []), 'version']
  return formatTable(
    columns.map((column) => column.toUpperCase()),
    items.map((item) => columns.map((column) => cellOf(item[column]))),
  )
}

function cellOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (Array.isArray(value)) return value.map(cellOf).join(',')
  if (typeof value === 'string') return value
  if (typeof value !== 'object') return JSON.stringify(value)
  if ('realServer' in value && 'weight' in value)
    return `${cellOf(value.realServer)}:${cellOf(value.weight)}`
  if ('name' in value) return cellOf(value.name)
  return Object.entries(value)
    .map(([key, field]) => [key, cellOf(field)] as const)
    .filter(([, text]) => text !== '')
    .map(([key, text]) => `${key}=${text}`)
    .join(' ')
}

function kindPath(kind: string): string {
  const found = KINDS.find((path) => path === kind || path === `${kind}s`)
  if (found === undefined)
    throw new CliError(`there is no kind ${kind}: use ${KINDS.join(', ')}`, 2)
  return found
}

function objectPath(kind: string, name: string): string {
  return `/v1/${kindPath(kind)}/${encodeURIComponent(name)}`
}
