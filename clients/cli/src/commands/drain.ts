/**
 * drain: take something out of service. With --for it has a deadline and an end that can be watched: no new connections,
 * those that stand are waited for, then it is out of every director until the drain is cancelled.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import {
  drainListSchema,
  drainStatusSchema,
  mutationSchema,
  writtenSchema,
  type DrainStatus,
} from '../answers.ts'
import { CliError } from '../cli-error.ts'
import { durationMs } from '../duration.ts'
import { formatMutation } from '../output/plan.ts'
import { printValue, write } from '../output/print.ts'
import { formatTable } from '../output/table.ts'
import { contextOf, type Context } from './context.ts'
import { DRAINABLE, setState } from './objects.ts'
import { readPages } from './pages.ts'

type DrainOptions = {
  readonly for?: string
  readonly reason?: string
  readonly pool?: string
  readonly idle?: string
  readonly expireTemplates?: boolean
  readonly name?: string
  readonly dryRun?: boolean
}

/** Kind, as it is written here, to the field of a drain. */
const TARGETS: Readonly<Record<string, string>> = {
  'real-server': 'realServer',
  site: 'site',
  director: 'director',
}
const POLL_MS = 2_000

export function addDrainCommands(program: Command): void {
  const drain = program
    .command('drain')
    .description(`take no new connections there: ${DRAINABLE.join(', ')}`)
    .argument('<kind>')
    .argument('<name>')
    .option(
      '--for <time>',
      'until then, what is left is cut: 15m, 2h, 7d; without it, see activate',
    )
    .option('--reason <text>', 'with --for: for those who find it')
    .option('--pool <name>', 'with --for: of a real server, only as a member of this pool')
    .option('--idle <seconds>', 'with --for: idle for so long before it is removed (10)')
    .option('--expire-templates', 'with --for: known clients of persistent services move at once')
    .option('--name <name>', 'with --for: of the drain (kind and name of what drains)')
    .option('--dry-run', 'show what would change')
    .addHelpText(
      'after',
      `
Without --for: state drain, which lasts until lvsfleet activate and removes nothing.

Examples:
  lvsfleet drain real-server rs-b1 --for 15m --reason 'new disk'
  lvsfleet drain list
  lvsfleet drain wait real-server-rs-b1
  lvsfleet drain cancel real-server rs-b1
  lvsfleet drain sites b`,
    )
    .action(async (kind: string, name: string, options: DrainOptions, command: Command) =>
      begin(contextOf(command), { kind, name }, options),
    )
  drain
    .command('list')
    .description('what drains, what is left of it and until when')
    .action(async (_: object, command: Command) => list(contextOf(command)))
  drain
    .command('show')
    .description('what is left of one drain on each director')
    .argument('<name>')
    .action(async (name: string, _: object, command: Command) => show(contextOf(command), name))
  drain
    .command('wait')
    .description('return when a drain is drained; exits with 1 when it is not in time')
    .argument('<name>')
    .option('--timeout <time>', 'how long: 30m, 2h', '1h')
    .action(async (name: string, options: { timeout: string }, command: Command) =>
      wait(contextOf(command), name, options.timeout),
    )
  drain
    .command('cancel')
    .description('end a drain, by its name or by what drains: weights are back at once')
    .argument('<kind-or-name>')
    .argument('[name]')
    .action(async (first: string, second: string | undefined, _: object, command: Command) =>
      cancel(contextOf(command), second === undefined ? first : drainName(first, second)),
    )
}

async function begin(
  context: Context,
  { kind, name }: { readonly kind: string; readonly name: string },
  options: DrainOptions,
): Promise<void> {
  const { api, output } = context
  if (options.for === undefined) {
    const stray = ['reason', 'pool', 'idle', 'expireTemplates', 'name'].find((it) => it in options)
    if (stray !== undefined) throw new CliError('say for how long with --for', 2)
    return setState(context, { kind, name, state: 'drain' }, options)
  }
  const { pool, reason } = options
  if (reason === undefined) throw new CliError('say why with --reason', 2)
  const body = {
    [targetField(kind)]: name,
    reason,
    deadline: new Date(Date.now() + durationMs('--for', options.for)).toISOString(),
    ...(pool === undefined ? {} : { pool }),
    ...(options.idle === undefined ? {} : { idleSeconds: Number(options.idle) }),
    ...(options.expireTemplates === true ? { expireTemplates: true } : {}),
  }
  const dryRun = options.dryRun === true
  const path = `/v1/drains/${encodeURIComponent(options.name ?? drainName(kind, name, pool))}`
  // One of this name is replaced: its deadline is the new one.
  const query = { force: 'true', dryRun: dryRun ? 'true' : undefined }
  const answer = await api.json({ method: 'PUT', path, body, query })
  if (dryRun) {
    const mutation = mutationSchema.parse(answer)
    return printValue(mutation, output, () => formatMutation(mutation, { dryRun }))
  }
  const { revision } = writtenSchema.parse(answer)
  printValue(answer, output, () => `done in revision ${revision}, until ${body.deadline}`)
}

async function list({ api, output }: Context): Promise<void> {
  const drains = await readPages(api, '/v1/drain-status', drainListSchema)
  printValue(drains, output, () =>
    drains.length === 0
      ? 'nothing drains by a deadline; states are in: lvsfleet get real-servers'
      : formatTable(
          ['NAME', 'WHAT', 'STATE', 'OUT', 'LEFT', 'UNTIL', 'BY', 'REASON'],
          drains.map((one) => [
            one.name,
            one.target,
            one.state,
            `${one.drained}/${one.destinations}`,
            leftOf(one),
            one.deadline,
            one.owner,
            one.reason,
          ]),
        ),
  )
}

async function show({ api, output }: Context, name: string): Promise<void> {
  const drain = await readStatus(api, name)
  printValue(drain, output, () => formatDrain(drain))
}

async function wait({ api, output }: Context, name: string, timeout: string): Promise<void> {
  const endMs = Date.now() + durationMs('--timeout', timeout)
  for (;;) {
    const drain = await readStatus(api, name)
    if (drain.state === 'drained') return printValue(drain, output, () => drain.message)
    if (Date.now() + POLL_MS > endMs) {
      throw new CliError(`${name} is ${drain.state}: ${drain.message}; ${leftOf(drain)}`, 1)
    }
    await sleep(POLL_MS)
  }
}

async function cancel({ api, output }: Context, name: string): Promise<void> {
  const path = `/v1/drains/${encodeURIComponent(name)}`
  const answer = await api.json({ method: 'DELETE', path })
  const { revision } = writtenSchema.parse(answer)
  if (output === undefined || output === 'table') return write(`done in revision ${revision}`)
  printValue(answer, output, () => '')
}

async function readStatus(api: Context['api'], name: string): Promise<DrainStatus> {
  const path = `/v1/drain-status/${encodeURIComponent(name)}`
  return drainStatusSchema.parse(await api.json({ path }))
}

function formatDrain(drain: DrainStatus): string {
  const rows = drain.directors.map((one) => [
    one.director,
    one.state,
    `${one.drained}/${one.destinations}`,
    leftOf(one),
    one.remainingSeconds === null ? '' : `${one.remainingSeconds} s`,
  ])
  const left = drain.directors.flatMap(({ director, left: some }) =>
    some.map((one) => [director, one.service, one.destination, String(one.connections)]),
  )
  return [
    `${drain.name}: ${drain.target} ${drain.state}: ${drain.message}`,
    `${drain.reason}, by ${drain.owner} since ${drain.since}, until ${drain.deadline}`,
    ...(rows.length === 0
      ? []
      : ['', formatTable(['DIRECTOR', 'STATE', 'OUT', 'LEFT', 'REMAINING'], rows)]),
    ...(left.length === 0
      ? []
      : ['', formatTable(['DIRECTOR', 'SERVICE', 'DESTINATION', 'CONNECTIONS'], left)]),
  ].join('\n')
}

function leftOf(one: {
  readonly activeConnections: number
  readonly inactiveConnections: number
  readonly persistentConnections: number
}): string {
  const { activeConnections, inactiveConnections, persistentConnections } = one
  const known = persistentConnections === 0 ? '' : `, ${persistentConnections} known clients`
  return `${activeConnections} active, ${inactiveConnections} other${known}`
}

function targetField(kind: string): string {
  const field = TARGETS[kind] ?? TARGETS[kind.replace(/s$/, '')]
  if (field === undefined) {
    throw new CliError(`${kind} cannot drain: only ${Object.keys(TARGETS).join(', ')} can`, 2)
  }
  return field
}

function drainName(kind: string, name: string, pool?: string): string {
  const whole = [kind.replace(/s$/, ''), name, ...(pool === undefined ? [] : [pool])].join('-')
  return whole.slice(0, 63).replace(/-+$/, '')
}
