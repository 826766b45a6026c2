/** Figures as a table for people: one line each, columns as wide as what they hold. */
import type { Figure } from './figure.ts'

const HEAD = ['what', 'measured', 'beside it', 'target', 'met in this run']

export function tableOf(figures: readonly Figure[]): string {
  const lines = [
    HEAD,
    ...figures.map(({ what, value, beside, target, met }) => [
      what,
      value,
      beside,
      target,
      met === null ? '' : met ? 'yes' : 'NO',
    ]),
  ]
  const widths = HEAD.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  )
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
