/** events and watch: what happened in the fleet, and what happens now. */
import { setTimeout as sleep } from 'node:timers/promises'
import { InvalidArgumentError, type Command } from 'commander'
import { eventListSchema, eventSchema, type FleetEvent } from '../answers.ts'
import { CliError } from '../cli-error.ts'
import { readBlocks } from '../event-stream.ts'
import { EVENT_HEADER, eventCells, eventLine } from '../output/event.ts'
import { printValue, write } from '../output/print.ts'
import { formatTable } from '../output/table.ts'
import { contextOf, type Context } from './context.ts'
import { momentBefore } from './duration.ts'

type FilterOptions = {
  readonly kind?: string
  readonly director?: string
  readonly virtualService?: string
  readonly realServer?: string
  readonly severity?: string
  readonly since?: string
}
type WatchOptions = FilterOptions & { readonly after?: string; readonly count?: number }
type Query = Readonly<Record<string, string | undefined>>

export function addEventCommands(program: Command): void {
  const events = program
    .command('events')
    .description(
      'what happened in the fleet, oldest first: who changed what, and what became of it',
    )
    .option('--limit <n>', 'the newest so many', wholeNumber, 100)
  withFilters(events)
    .addHelpText(
      'after',
      `
Kinds and what they tell: docs/events.md

Examples:
  lvsfleet events
  lvsfleet events --since 2h --severity warning
  lvsfleet events --virtual-service web --kind health.changed,weight.changed
  lvsfleet events --limit 1000 --output json`,
    )
    .action(async (options: FilterOptions & { limit: number }, command: Command) =>
      list(contextOf(command), options),
    )
  const watch = program
    .command('watch')
    .description(
      'follows what happens, one line an event, until interrupted; goes on where it was when it loses the API',
    )
    .option('--after <cursor>', 'go on after this event; latest = from now on')
    .option('--count <n>', 'end after so many events', wholeNumber)
  withFilters(watch)
    .addHelpText(
      'after',
      `
With --output json each event is one line of JSON. Without --since and --after it begins with what comes.

Examples:
  lvsfleet watch
  lvsfleet watch --severity warning --director dir-a
  lvsfleet watch --since 10m --kind health.changed,drain.began,drain.ended
  lvsfleet watch --kind state.applied --count 1
  lvsfleet watch --output json | jq -r .message`,
    )
    .action(async (options: WatchOptions, command: Command) => follow(contextOf(command), options))
}

function withFilters(command: Command): Command {
  return command
    .option('--kind <kinds>', 'only these, with commas')
    .option('--director <name>', 'as this director sees it')
    .option('--virtual-service <name>', 'what concerns it')
    .option('--real-server <name>', 'what concerns it')
    .option('--severity <severity>', 'info, warning or error; this one and worse')
    .option('--since <time>', '30s, 10m, 2h, 7d, or a moment such as 2026-11-28T12:00:00Z')
}

function queryOf(options: FilterOptions): Query {
  const { kind, director, virtualService, realServer, severity, since } = options
  const from = since === undefined ? undefined : momentBefore('--since', since, new Date())
  return { kind, director, virtualService, realServer, severity, since: from }
}

async function list(
  { api, output }: Context,
  options: FilterOptions & { readonly limit: number },
): Promise<void> {
  const query = { ...queryOf(options), newest: 'true', limit: String(options.limit) }
  const { items } = eventListSchema.parse(await api.json({ path: '/v1/events', query }))
  printValue(items, output, () =>
    items.length === 0 ? 'nothing happened' : formatTable(EVENT_HEADER, items.map(eventCells)),
  )
}

const RETRY_MAX_MS = 15_000

/** Where it stands, and how many are still to be shown. */
type Place = { cursor: string | undefined; left: number; heardAnything: boolean }

async function follow({ api, output }: Context, options: WatchOptions): Promise<void> {
  if (output !== undefined && output !== 'table' && output !== 'json') {
    throw new CliError(`--output ${output} is not one of table, json: a stream has no end`, 2)
  }
  const query = queryOf(options)
  const place: Place = {
    cursor: options.after,
    left: options.count ?? Infinity,
    heardAnything: false,
  }
  const print = (event: FleetEvent) =>
    write(output === 'json' ? JSON.stringify(event) : eventLine(event))
  for (let failures = 0; place.left > 0; failures++) {
    if (place.heardAnything) failures = 0
    place.heardAnything = false
    const lost = await followOnce(api, query, place, print)
    if (place.left === 0) return
    // What never worked is not tried for ever: a wrong URL or key is told at once.
    if (lost instanceof CliError && (place.cursor === options.after || lost.exitCode !== 3)) {
      if (lost.code !== 'too-many-requests') throw lost
    }
    const at = place.cursor === undefined ? '' : `, going on after event ${place.cursor}`
    process.stderr.write(`lvsfleet: ${lost.message}; connecting again${at}\n`)
    await sleep(
      Math.min(RETRY_MAX_MS, 250 * 2 ** Math.min(failures, 6)) * (0.5 + Math.random() / 2),
    )
  }
}

/** Until the stream ends, whatever the reason, which it gives. */
async function followOnce(
  api: Context['api'],
  query: Query,
  place: Place,
  print: (event: FleetEvent) => void,
): Promise<Error> {
  try {
    const path = '/v1/events/stream'
    const chunks = await api.stream({ path, query: { ...query, after: place.cursor } })
    for await (const { id, event, data } of readBlocks(chunks)) {
      place.heardAnything = true
      if (event === 'gone') throw goneError()
      if (data !== undefined) {
        print(eventSchema.parse(JSON.parse(data)))
        place.left--
      }
      if (id !== undefined) place.cursor = id
      if (place.left === 0) break
    }
    return new Error('the stream ended')
  } catch (error) {
    if (!(error instanceof CliError)) {
      return error instanceof Error && !('issues' in error)
        ? new Error(`lost the API (${error.message})`)
        : asError(error)
    }
    // What is lost is said; what is left is shown, from the oldest on.
    if (error.code === 'cursor-gone' && place.cursor !== undefined) {
      process.stderr.write(`lvsfleet: ${error.message}\n`)
      const [, prunedId] = /after=(\d+)/.exec(error.message) ?? []
      place.cursor = prunedId ?? 'latest'
      place.heardAnything = true
      return new Error('some events are lost')
    }
    return error
  }
}

function goneError(): CliError {
  return new CliError('events went by faster than they were read', 1, 'cursor-gone')
}

function asError(error: unknown): Error {
  throw error
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('Use a whole number from 1')
  return value
}
