/**
 * npm run bench: the promises about speed and size, measured. Ratios within one run and one guest; nothing
 * here passes or fails, since a busy machine is no defect, but each figure says whether it met its target.
 */
import { parseArgs } from 'node:util'
import { engineName } from '../test/lab/lab.ts'
import { Outside } from './outside.ts'
import { record, type Measured } from './record.ts'
import type { Row } from './row.ts'
import { agentRow } from './rows/agent.ts'
import { changeRow } from './rows/change.ts'
import { checksRow } from './rows/checks.ts'
import { checksBesideRow } from './rows/checks-beside.ts'
import { pollRow } from './rows/poll.ts'
import { programRow } from './rows/program.ts'
import { reloadRow } from './rows/reload.ts'
import { tableOf } from './table.ts'

/** Natively measured first: no guest takes its share of the machine yet. */
const ROWS: readonly Row[] = [
  pollRow,
  checksRow,
  changeRow,
  programRow,
  reloadRow,
  agentRow,
  checksBesideRow,
]

const HELP = `npm run bench [-- OPTIONS]

  --only NAME       this row only, repeatable
  --engine NAME     qemu (default), qemu-6.12 or uml: the kernel lab's engine
  --help            this text

Rows:
${ROWS.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`).join('\n')}

The guest's processor is emulated: compare figures within a run, not with other machines.`

process.exitCode = await main()

async function main(): Promise<number> {
  const rows = readOptions()
  if (typeof rows === 'number') return rows
  const log = (text: string) => console.error(`bench: ${text}`)
  const measured: Measured[] = []
  await using outside = new Outside(log)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // A guest and a controller would outlive the run.
    process.once(signal, () => {
      log(`${signal}: ending what was started`)
      void outside[Symbol.asyncDispose]().finally(() => process.exit(130))
    })
  }
  for (const { name, inGuest, measure } of rows) {
    log(`measuring ${name}`)
    const started = performance.now()
    const figures = await measure(outside)
    const done: Measured = {
      row: name,
      inGuest,
      seconds: Math.round((performance.now() - started) / 1_000),
      figures,
    }
    measured.push(done)
    // Kept at once: a run that is interrupted later loses nothing.
    const file = record([done], await outside.guest())
    console.log(`\n${tableOf(figures)}\n\nkept in ${file}\n`)
  }
  console.log(`\n${tableOf(measured.flatMap(({ figures }) => figures))}\n`)
  return 0
}

function readOptions(): readonly Row[] | number {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string', multiple: true },
        engine: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      console.log(HELP)
      return 0
    }
    process.env['LAB_ENGINE'] = engineName(values.engine)
    const wanted = values.only ?? ROWS.map(({ name }) => name)
    return wanted.map((name) => {
      const row = ROWS.find((candidate) => candidate.name === name)
      if (row === undefined) throw new Error(`there is no row ${name}`)
      return row
    })
  } catch (error) {
    console.error(
      `${error instanceof Error ? error.message : String(error)}; see npm run bench -- --help`,
    )
    return 2
  }
}
