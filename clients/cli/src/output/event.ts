/** An event as a line: the same columns in a table of past ones and while one follows. */
import { styleText } from 'node:util'
import type { FleetEvent } from '../answers.ts'

export const EVENT_HEADER = ['EVENT', 'AT', 'SEVERITY', 'KIND', 'DIRECTOR', 'WHAT'] as const

const COLOURS = { warning: 'yellow', error: 'red' } as const
/** Wide enough for every kind, and for most names. */
const WIDTHS = [7, 20, 8, 17, 12] as const

export function eventCells({ id, at, severity, kind, director, message }: FleetEvent): string[] {
  return [String(id), at.replace(/\.\d+Z$/, 'Z'), severity, kind, director ?? '', message]
}

/** Columns of one width, since nobody knows what comes. */
export function eventLine(event: FleetEvent): string {
  const cells = eventCells(event).map((cell, i) =>
    (cell === '' ? '-' : cell).padEnd(WIDTHS[i] ?? 0),
  )
  const line = cells.join('  ').trimEnd()
  const colour =
    event.severity === 'error' || event.severity === 'warning' ? COLOURS[event.severity] : undefined
  return colour === undefined ? line : styleText(colour, line)
}
