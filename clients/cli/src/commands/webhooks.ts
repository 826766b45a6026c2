/** webhook: who is told of events by a signed POST, and how far each has come. */
import type { Command } from 'commander'
import { newWebhookSchema, webhookListSchema } from '../answers.ts'
import { CliError } from '../cli-error.ts'
import { printValue } from '../output/print.ts'
import { formatTable } from '../output/table.ts'
import { contextOf, type Context } from './context.ts'

type CreateOptions = {
  readonly url: string
  readonly kind?: string
  readonly severity?: string
  readonly giveUpHours?: string
}

const PATH = '/v1/webhooks'
const CHANGES = {
  pause: 'stop telling it for now; it keeps its place',
  resume: 'go on where it stood, at once',
  delete: 'forget it, and what it was still to be told',
} as const

export function addWebhookCommands(program: Command): void {
  const webhook = program
    .command('webhook')
    .description('who is told of events by a signed POST, and how far each has come')
    .addHelpText(
      'after',
      `
Examples:
  lvsfleet webhook create pager --url https://hooks.example/lvs --severity error
  lvsfleet webhook create chat --url https://hooks.example/chat --kind health.changed,drain.ended
  lvsfleet webhook list
  lvsfleet webhook pause chat`,
    )
  webhook
    .command('create')
    .description('make one; its secret is shown once, and receivers verify by it (docs/events.md)')
    .argument('<name>')
    .requiredOption('--url <url>', 'https; http to the machine of the API only')
    .option('--kind <kinds>', 'only these, with commas')
    .option('--severity <severity>', 'info, warning or error; this one and worse')
    .option('--give-up-hours <n>', 'how long one event is tried; default 24')
    .action(async (name: string, options: CreateOptions, command: Command) =>
      create(contextOf(command), name, options),
    )
  webhook
    .command('list')
    .description('each with its state; exits with 1 when one fails or was given up')
    .action(async (_: object, command: Command) => list(contextOf(command)))
  for (const [change, description] of Object.entries(CHANGES)) {
    webhook
      .command(change)
      .description(description)
      .argument('<name>')
      .action(async (name: string, _: object, command: Command) =>
        changeOne(contextOf(command), change, name),
      )
  }
}

async function create(
  { api, output }: Context,
  name: string,
  options: CreateOptions,
): Promise<void> {
  const { url, kind, severity, giveUpHours } = options
  const body = {
    name,
    url,
    ...(kind === undefined ? {} : { kinds: kind.split(',') }),
    ...(severity === undefined ? {} : { severity }),
    ...(giveUpHours === undefined ? {} : { giveUpHours: Number(giveUpHours) }),
  }
  const made = newWebhookSchema.parse(await api.json({ method: 'POST', path: PATH, body }))
  printValue(made, output, () => made.secret)
}

async function list({ api, output }: Context): Promise<void> {
  const { items } = webhookListSchema.parse(await api.json({ path: PATH }))
  printValue(items, output, () =>
    items.length === 0
      ? 'nobody is told of events'
      : formatTable(
          ['NAME', 'STATUS', 'BEHIND', 'SEVERITY', 'KINDS', 'URL', 'LAST ERROR'],
          items.map((one) => [
            one.name,
            one.status,
            String(one.behind),
            one.severity,
            one.kinds?.join(',') ?? 'all',
            one.url,
            one.lastError === null ? '' : `${one.lastError} (${one.attempts} attempts)`,
          ]),
        ),
  )
  if (items.some(({ status }) => status === 'failing' || status === 'gave-up')) process.exitCode = 1
}

async function changeOne({ api, output }: Context, change: string, name: string): Promise<void> {
  const { items } = webhookListSchema.parse(await api.json({ path: PATH }))
  const found = items.find((one) => one.name === name || one.id === name)
  if (found === undefined) throw new CliError(`there is no webhook ${name}`, 1)
  const path = `${PATH}/${found.id}`
  const answer =
    change === 'delete'
      ? await api.json({ method: 'DELETE', path })
      : await api.json({ method: 'POST', path: `${path}/${change}` })
  printValue(answer, output, () => `${change} ${found.name}: done`)
}
