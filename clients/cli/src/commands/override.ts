/** override: what health says does not count for a while. Ends by itself; `lvsfleet delete overrides NAME` ends it now. */
import type { Command } from 'commander'
import { mutationSchema, writtenSchema } from '../answers.ts'
import { CliError } from '../cli-error.ts'
import { durationMs } from '../duration.ts'
import { formatMutation } from '../output/plan.ts'
import { printValue } from '../output/print.ts'
import { contextOf, type Context } from './context.ts'

type OverrideOptions = {
  readonly realServer: string
  readonly pool?: string
  readonly weight?: string
  readonly for: string
  readonly reason: string
  readonly dryRun?: boolean
}

const KINDS = ['down', 'up', 'weight']

export function addOverrideCommand(program: Command): void {
  program
    .command('override')
    .description(
      'for a while: take a real server down or up whatever its checks say, or give it another weight',
    )
    .argument('<name>', 'of the override')
    .argument('<kind>', KINDS.join(', '))
    .requiredOption('--real-server <name>')
    .requiredOption('--for <time>', 'how long: 30m, 2h, 7d; at most 30d')
    .requiredOption('--reason <text>', 'for those who find it')
    .option('--pool <name>', 'only as a member of this pool')
    .option('--weight <weight>', 'of kind weight')
    .option('--dry-run', 'show what would change')
    .addHelpText(
      'after',
      `
Examples:
  lvsfleet override disk-a1 down --real-server rs-a1 --for 2h --reason 'disk is failing'
  lvsfleet override canary weight --weight 5 --real-server rs-a2 --pool web --for 1d --reason 'new kernel'`,
    )
    .action(async (name: string, kind: string, options: OverrideOptions, command: Command) =>
      override(contextOf(command), name, kind, options),
    )
}

async function override(
  { api, output }: Context,
  name: string,
  kind: string,
  options: OverrideOptions,
): Promise<void> {
  if (!KINDS.includes(kind)) throw new CliError(`${kind} is none of ${KINDS.join(', ')}`, 2)
  const { realServer, pool, weight, reason } = options
  const body = {
    realServer,
    kind,
    reason,
    expiresAt: new Date(Date.now() + durationMs('--for', options.for)).toISOString(),
    ...(pool === undefined ? {} : { pool }),
    ...(weight === undefined ? {} : { weight: Number(weight) }),
  }
  const dryRun = options.dryRun === true
  // One of this name is replaced: its time begins anew.
  const query = { force: 'true', dryRun: dryRun ? 'true' : undefined }
  const path = `/v1/overrides/${encodeURIComponent(name)}`
  const answer = await api.json({ method: 'PUT', path, body, query })
  if (dryRun) {
    const mutation = mutationSchema.parse(answer)
    return printValue(mutation, output, () => formatMutation(mutation, { dryRun }))
  }
  const { revision } = writtenSchema.parse(answer)
  printValue(answer, output, () => `done in revision ${revision}, until ${body.expiresAt}`)
}
