/** status, render, document, join-token, revisions: what hosts do and how they come in. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { hostListSchema, revisionListSchema, secretSchema, type Host } from '../answers.ts'
import { CliError } from '../cli-error.ts'
import { printValue, write } from '../output/print.ts'
import { formatTable } from '../output/table.ts'
import { contextOf, type Context } from './context.ts'
import { readPages } from './pages.ts'

const WATCH_MS = 2_000

export function addHostCommands(program: Command): void {
  program
    .command('status')
    .description(
      'every director and real server: what is published, what is in its kernel, and why not',
    )
    .option('--watch', 'again every two seconds until interrupted')
    .option(
      '--wait <seconds>',
      'wait until all hosts that are enrolled have converged, else exit with 1',
    )
    .action(async (options: { watch?: boolean; wait?: string }, command: Command) =>
      status(contextOf(command), options),
    )
  program
    .command('render')
    .description(
      'the set-up of a host without an agent: shell script, cloud-init or systemd-networkd',
    )
    .argument('<real-server>', 'or director/NAME')
    .option('--format <format>', 'shell, cloud-init or networkd', 'shell')
    .addHelpText('after', '\nExample:\n  lvsfleet render rs-b1 > rs-b1.sh')
    .action(async (host: string, options: { format: string }, command: Command) =>
      printFile(
        contextOf(command),
        `${hostPath(host)}/script?format=${encodeURIComponent(options.format)}`,
      ),
    )
  program
    .command('document')
    .description(
      'the signed state of a host, for `lvsfleet-agent apply FILE` without a control plane',
    )
    .argument('<host>', 'director/NAME or real-server/NAME')
    .action(async (host: string, _: object, command: Command) =>
      printFile(contextOf(command), `${hostPath(host)}/document`),
    )
  program
    .command('join-token')
    .description('make a token with which one host enrols; shown once')
    .requiredOption('--role <role>', 'director or real-server')
    .requiredOption('--site <site>')
    .option('--name <name>', 'only the host of this name')
    .option('--ttl <seconds>', 'how long it is good', '3600')
    .option('--uses <n>', 'how many hosts may use it', '1')
    .option('--label <key=value...>', 'for the host, where enrolment creates it')
    .option('--manual', 'a person lets each host in: see enrolments')
    .option('--replaces', 'the host may take an enrolled name: after a re-install')
    .addHelpText('after', '\nExample:\n  lvsfleet join-token --role director --site a --name dir-a')
    .action(async (options: JoinOptions, command: Command) =>
      joinToken(contextOf(command), options),
    )
  program
    .command('revisions')
    .description('who changed what, newest first')
    .action(async (_: object, command: Command) => revisions(contextOf(command)))
}

type JoinOptions = {
  readonly role: string
  readonly site: string
  readonly name?: string
  readonly ttl: string
  readonly uses: string
  readonly label?: readonly string[]
  readonly manual?: boolean
  readonly replaces?: boolean
}

async function status(
  context: Context,
  options: { watch?: boolean; wait?: string },
): Promise<void> {
  const deadline = Date.now() + Number(options.wait ?? 0) * 1000
  if (Number.isNaN(deadline))
    throw new CliError(`--wait ${options.wait} is not a number of seconds`, 2)
  for (;;) {
    const items = await readPages(context.api, '/v1/hosts', hostListSchema)
    const done = items.every(
      (host) => host.enrolment === null || conditionOf(host, 'converged').status,
    )
    const waiting = options.wait !== undefined && !done && Date.now() < deadline
    if (!waiting) printValue(items, context.output, () => statusTable(items))
    if (options.watch !== true && !waiting) {
      if (options.wait !== undefined && !done) process.exitCode = 1
      return
    }
    if (options.watch === true) write('')
    await sleep(waiting ? 250 : WATCH_MS)
  }
}

function statusTable(hosts: readonly Host[]): string {
  return formatTable(
    ['HOST', 'SITE', 'PUBLISHED', 'APPLIED', 'CONVERGED', 'NOTES'],
    hosts.map((host) => {
      const converged = conditionOf(host, 'converged')
      const notes = ['quarantined', 'drifted', 'rejected', 'held', 'mtu-too-small', 'stale']
        .map((type) => ({ type, ...conditionOf(host, type) }))
        .filter((condition) => condition.status)
        .map(({ type, message }) => `${type}: ${message}`)
      return [
        `${host.role}/${host.name}`,
        host.site,
        String(host.published?.generation ?? ''),
        String(host.applied?.generation ?? ''),
        converged.status ? 'yes' : 'no',
        [
          ...(converged.status ? [] : [converged.message]),
          ...notes,
          ...(host.agent?.supported === false ? [`unsupported: ${host.agent.reason}`] : []),
        ].join('; '),
      ]
    }),
  )
}

function conditionOf(host: Host, type: string): { status: boolean; message: string } {
  return (
    host.conditions.find((condition) => condition.type === type) ?? { status: false, message: '' }
  )
}

async function printFile({ api }: Context, path: string): Promise<void> {
  write((await api.send({ path })).text.trimEnd())
}

async function joinToken({ api, output }: Context, options: JoinOptions): Promise<void> {
  const body = {
    role: options.role,
    site: options.site,
    ...(options.name === undefined ? {} : { name: options.name }),
    ttlSeconds: wholeNumber('--ttl', options.ttl),
    maxUses: wholeNumber('--uses', options.uses),
    labels: labelsOf(options.label ?? []),
    approval: options.manual === true ? 'manual' : 'auto',
    replaces: options.replaces === true,
  }
  const answer = secretSchema.parse(
    await api.json({ method: 'POST', path: '/v1/join-tokens', body }),
  )
  printValue(answer, output, () => answer.token)
}

async function revisions({ api, output }: Context): Promise<void> {
  const { items } = revisionListSchema.parse(
    await api.json({ path: '/v1/revisions', query: { limit: '100' } }),
  )
  printValue(items, output, () =>
    formatTable(
      ['REVISION', 'AT', 'WHO', 'ACTION', 'WHAT'],
      items.map(({ number, at, actor, action, summary }) => [
        String(number),
        at,
        actor,
        action,
        summary,
      ]),
    ),
  )
}

function labelsOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, key, value] = /^([^=]+)=(.*)$/.exec(pair) ?? []
      if (key === undefined) throw new CliError(`--label ${pair} is not KEY=VALUE`, 2)
      return [key, value ?? '']
    }),
  )
}

export function hostPath(host: string): string {
  const [role, name] = host.includes('/') ? host.split('/', 2) : ['real-server', host]
  if (role !== 'director' && role !== 'real-server') {
    throw new CliError(`${host} is no host: use director/NAME or real-server/NAME`, 2)
  }
  return `/v1/hosts/${role}/${encodeURIComponent(name ?? '')}`
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value)) throw new CliError(`${option} ${text} is not a whole number`, 2)
  return value
}
