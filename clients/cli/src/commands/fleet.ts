/** apply, plan, export: the whole fleet as one document. */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { parse, stringify, YAMLParseError } from 'yaml'
import { mutationSchema } from '../answers.ts'
import { CliError } from '../cli-error.ts'
import { formatMutation } from '../output/plan.ts'
import { printValue } from '../output/print.ts'
import { contextOf } from './context.ts'

export function addFleetCommands(program: Command): void {
  program
    .command('apply')
    .description('make the fleet as the document says; what it leaves out is removed')
    .requiredOption('-f, --file <file>', 'YAML or JSON document; - for standard input')
    .option('--dry-run', 'show what would change, down to each kernel operation')
    .option('--allow-shrink', 'allow a change that removes much from a director')
    .option('--detailed-exitcode', 'exit with 4 when there are changes')
    .addHelpText('after', '\nExample:\n  lvsfleet apply -f examples/two-sites.yaml --dry-run')
    .action(async (options: ApplyOptions, command: Command) => applyFleet(options, command))
  program
    .command('plan')
    .description('the same as apply --dry-run')
    .requiredOption('-f, --file <file>', 'YAML or JSON document; - for standard input')
    .option('--detailed-exitcode', 'exit with 4 when there are changes')
    .action(async (options: ApplyOptions, command: Command) =>
      applyFleet({ ...options, dryRun: true }, command),
    )
  program
    .command('export')
    .description('print the whole fleet as a document that apply takes')
    .option('--revision <n>', 'as it was at this revision')
    .action(async (options: { revision?: string }, command: Command) => {
      const { api, output } = contextOf(command)
      const fleet = await api.json({ path: '/v1/fleet', query: { revision: options.revision } })
      const document =
        typeof fleet === 'object' && fleet !== null && 'fleet' in fleet ? fleet.fleet : fleet
      printValue(document, output, () => stringify(document).trimEnd())
    })
}

type ApplyOptions = {
  readonly file: string
  readonly dryRun?: boolean
  readonly allowShrink?: boolean
  readonly detailedExitcode?: boolean
}

async function applyFleet(options: ApplyOptions, command: Command): Promise<void> {
  const { api, output } = contextOf(command)
  const dryRun = options.dryRun === true
  const mutation = mutationSchema.parse(
    await api.json({
      method: 'PUT',
      path: '/v1/fleet',
      query: {
        dryRun: dryRun ? 'true' : undefined,
        allowShrink: options.allowShrink === true ? 'true' : undefined,
      },
      body: await readDocument(options.file),
    }),
  )
  printValue(mutation, output, () => formatMutation(mutation, { dryRun }))
  if (options.detailedExitcode === true && mutation.changes.length > 0) process.exitCode = 4
}

async function readDocument(file: string): Promise<unknown> {
  const text = await readText(file).catch(() => {
    throw new CliError(`cannot read ${file}: name a file, or - for standard input`, 2)
  })
  try {
    const value: unknown = parse(text)
    return value ?? {}
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error
    // What follows the first line, and its colon, is a picture of the place.
    const [first = ''] = error.message.split('\n')
    throw new CliError(`${file} is not YAML: ${first.replace(/:$/, '')}`, 2)
  }
}

/** Standard input as a stream: a pipe that has nothing yet is not an error. */
async function readText(file: string): Promise<string> {
  if (file !== '-') return readFile(file, 'utf8')
  const chunks: string[] = []
  for await (const chunk of process.stdin.setEncoding('utf8')) chunks.push(String(chunk))
  return chunks.join('')
}
