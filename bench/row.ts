/** A row of the benchmark: measures one promise and gives its figures. Each step within is bounded in time. */
import type { Figure } from './figure.ts'
import type { Outside } from './outside.ts'

export type Row = {
  readonly name: string
  readonly summary: string
  /** Whether the lab's kernel has a part in it: its engine belongs to the figures then. */
  readonly inGuest: boolean
  readonly measure: (outside: Outside) => Promise<readonly Figure[]>
}
