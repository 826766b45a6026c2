/** A mutation as people read it: objects that change, then each host with its kernel ops, then a sum. */
import { styleText } from 'node:util'
import type { Mutation } from '../answers.ts'

const SIGNS: Readonly<Record<string, string>> = { created: '+', updated: '~', deleted: '-' }
const COLOURS = { '+': 'green', '~': 'yellow', '-': 'red' } as const

export function formatMutation(mutation: Mutation, { dryRun }: { dryRun: boolean }): string {
  if (mutation.changes.length === 0) return `nothing changes; revision ${mutation.revision}`
  const lines = mutation.changes.map(({ change, kind, name }) =>
    coloured(`${SIGNS[change] ?? '?'} ${kind} ${name}`),
  )
  for (const { host, ops, shrink } of mutation.hosts) {
    lines.push('', styleText('bold', host))
    lines.push(...ops.map((op) => `  ${coloured(op)}`))
    if (shrink?.held === true) {
      lines.push(`  ${styleText('red', `needs --allow-shrink: ${shrink.detail}`)}`)
    }
  }
  for (const { pointer, message } of mutation.warnings) {
    lines.push('', `${styleText('yellow', 'warning')} ${pointer}: ${message}`)
  }
  return [...lines, '', summaryOf(mutation, dryRun)].join('\n')
}

function summaryOf(mutation: Mutation, dryRun: boolean): string {
  const count = (change: string) => mutation.changes.filter((one) => one.change === change).length
  const objects = `${count('created')} to create, ${count('updated')} to update, ${count('deleted')} to delete`
  const ops = mutation.hosts.reduce((sum, { ops: list }) => sum + list.length, 0)
  const kernels = `${ops} operations on ${mutation.hosts.length} hosts`
  return dryRun
    ? `plan: ${objects}; ${kernels}; nothing was changed`
    : `revision ${mutation.revision}: ${objects.replaceAll(' to create', ' created').replaceAll(' to update', ' updated').replaceAll(' to delete', ' deleted')}; ${kernels}`
}

function coloured(line: string): string {
  const sign = line.slice(0, 1)
  return sign === '+' || sign === '~' || sign === '-' ? styleText(COLOURS[sign], line) : line
}
