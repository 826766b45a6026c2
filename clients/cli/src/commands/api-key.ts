/** api-key: keys of operators and programs: made, shown in a list without their secrets, rotated, revoked. */
import type { Command } from 'commander'
import * as z from 'zod'
import { CliError } from '../cli-error.ts'
import { printValue } from '../output/print.ts'
import { formatTable } from '../output/table.ts'
import { contextOf, type Context } from './context.ts'

const keySchema = z.object({
  id: z.string(),
  name: z.string(),
  role: z.string(),
  sites: z.array(z.string()).nullable(),
  labels: z.record(z.string(), z.string()).nullable(),
  expiresAt: z.string().nullable(),
  revokedAt: z.string().nullable(),
  lastUsedAt: z.string().nullable(),
})
const listSchema = z.object({ items: z.array(keySchema) })
const madeSchema = keySchema.extend({ key: z.string() })

type CreateOptions = {
  readonly role: string
  readonly site?: readonly string[]
  readonly label?: readonly string[]
  readonly days?: string
}
type RotateOptions = { readonly graceSeconds: string; readonly days?: string }

export function addApiKeyCommands(program: Command): void {
  const keys = program
    .command('api-key')
    .description('keys of operators and programs; none allows more than the one that makes it')
  keys
    .command('create')
    .description('make a key; its secret is shown once')
    .argument('<name>', 'what revisions and the audit trail say')
    .requiredOption('--role <role>', 'admin, operator, site-operator, enroller or viewer')
    .option('--site <site...>', 'of a site-operator or enroller: only these sites')
    .option('--label <key=value...>', 'of a site-operator: only what has these labels')
    .option('--days <n>', 'until it ends, at most 366 (default 90)')
    .addHelpText(
      'after',
      '\nExample:\n  lvsfleet api-key create ci-a --role site-operator --site a',
    )
    .action(async (name: string, options: CreateOptions, command: Command) =>
      create(contextOf(command), name, options),
    )
  keys
    .command('list')
    .description('keys that one could have made, newest first')
    .action(async (_: object, command: Command) => list(contextOf(command)))
  keys
    .command('rotate')
    .description('a new secret for a key; the old one goes on for a while')
    .argument('<id>')
    .option('--grace-seconds <n>', 'how long the old one is still good', '3600')
    .option('--days <n>', 'until the new one ends')
    .action(async (id: string, options: RotateOptions, command: Command) =>
      rotate(contextOf(command), id, options),
    )
  keys
    .command('revoke')
    .description('end a key now')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { api, output } = contextOf(command)
      const path = `/v1/api-keys/${encodeURIComponent(id)}`
      const key = keySchema.parse(await api.json({ method: 'DELETE', path }))
      printValue(key, output, () => `revoked ${key.name}`)
    })
}

async function create(context: Context, name: string, options: CreateOptions): Promise<void> {
  const { role, site, label } = options
  const body = {
    name,
    role,
    ...(site === undefined ? {} : { sites: site }),
    ...(label === undefined ? {} : { labels: labelsOf(label) }),
    ...ttlOf(options.days),
  }
  printSecret(context, await context.api.json({ method: 'POST', path: '/v1/api-keys', body }))
}

async function rotate(context: Context, id: string, options: RotateOptions): Promise<void> {
  const path = `/v1/api-keys/${encodeURIComponent(id)}/rotate`
  const body = {
    graceSeconds: wholeNumber('--grace-seconds', options.graceSeconds),
    ...ttlOf(options.days),
  }
  printSecret(context, await context.api.json({ method: 'POST', path, body }))
}

async function list({ api, output }: Context): Promise<void> {
  const { items } = listSchema.parse(
    await api.json({ path: '/v1/api-keys', query: { limit: '1000' } }),
  )
  printValue(items, output, () =>
    formatTable(
      ['ID', 'NAME', 'ROLE', 'SITES', 'LABELS', 'ENDS', 'LAST USED'],
      items.map((key) => [
        key.id,
        key.name,
        key.role,
        key.sites?.join(',') ?? '-',
        Object.entries(key.labels ?? {})
          .map((pair) => pair.join('='))
          .join(',') || '-',
        key.revokedAt === null ? (key.expiresAt ?? 'never') : 'revoked',
        key.lastUsedAt ?? 'never',
      ]),
    ),
  )
}

function printSecret({ output }: Context, answer: unknown): void {
  const made = madeSchema.parse(answer)
  printValue(made, output, () => made.key)
}

function labelsOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const cut = pair.indexOf('=')
      if (cut < 1) throw new CliError(`--label ${pair} is not key=value`, 2)
      return [pair.slice(0, cut), pair.slice(cut + 1)]
    }),
  )
}

function ttlOf(days: string | undefined): { ttlSeconds?: number } {
  return days === undefined ? {} : { ttlSeconds: wholeNumber('--days', days) * 86_400 }
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value)) throw new CliError(`${option} ${text} is not a whole number`, 2)
  return value
}
