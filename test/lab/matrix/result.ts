/** What the matrix says: rows of four tables, each with what was wanted, what came, and whether that is as expected. */
import type { Cell } from './cells.ts'

/** `faults` empty = as expected. */
export type Outcome = { readonly text: string; readonly faults: readonly string[] }
export type CellRow = Outcome & { readonly cell: Cell }
export type SchedulerRow = Outcome & {
  readonly group: string
  readonly scheduler: string
  readonly says: string
}
export type MixedRow = Outcome & { readonly name: string }
export type MisrouteRow = Outcome & { readonly asked: string; readonly refusal: string }

export type Matrix = {
  readonly kernel: string
  readonly cells: readonly CellRow[]
  readonly schedulers: readonly SchedulerRow[]
  readonly mixed: readonly MixedRow[]
  readonly misroutes: readonly MisrouteRow[]
}

/** Everything that is not as expected, as one line each. */
export function faultsOf({ cells, schedulers, mixed, misroutes }: Matrix): string[] {
  return [
    ...cells.flatMap(({ cell, faults }) => faults.map((fault) => `${cell.name}: ${fault}`)),
    ...schedulers.flatMap((row) => row.faults.map((fault) => `${row.scheduler}: ${fault}`)),
    ...mixed.flatMap((row) => row.faults.map((fault) => `${row.name}: ${fault}`)),
    ...misroutes.flatMap((row) => row.faults.map((fault) => `${row.asked}: ${fault}`)),
  ]
}
