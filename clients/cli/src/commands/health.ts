/** health: which real servers answer, as all directors together see it. */
import type { Command } from 'commander'
import { healthListSchema } from '../answers.ts'
import { printValue } from '../output/print.ts'
import { formatTable } from '../output/table.ts'
import { contextOf, type Context } from './context.ts'
import { readPages } from './pages.ts'

type HealthOptions = { readonly server?: string; readonly verdict?: string }

export function addHealthCommand(program: Command): void {
  program
    .command('health')
    .description('which real servers answer, what is down first; exits with 1 when one is down')
    .option('--server <name>', 'only the real server of this name')
    .option('--verdict <verdict>', 'down, partial, held, unknown or up')
    .addHelpText(
      'after',
      '\npartial: it answers some directors and not others, so that a way to it is broken',
    )
    .action(async (options: HealthOptions, command: Command) => health(contextOf(command), options))
}

async function health({ api, output }: Context, options: HealthOptions): Promise<void> {
  const { server: realServer, verdict } = options
  const found = await readPages(api, '/v1/health', healthListSchema, { realServer, verdict })
  printValue(found, output, () =>
    found.length === 0
      ? 'nothing is checked: no pool has a check, or none matches'
      : formatTable(
          ['VERDICT', 'REAL SERVER', 'ADDRESS', 'PORT', 'ASKS', 'WHY'],
          found.map((one) => [
            one.verdict,
            one.realServer,
            one.address,
            one.port === 0 ? '' : String(one.port),
            one.asks,
            one.message,
          ]),
        ),
  )
  if (found.some((one) => one.verdict === 'down')) process.exitCode = 1
}
