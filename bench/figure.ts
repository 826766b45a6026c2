/** What a row of the benchmark says: one figure, what stands beside it, its target, and whether this run met it. */

export type Figure = {
  readonly what: string
  readonly value: string
  readonly beside: string
  readonly target: string
  /** null: nothing was promised. */
  readonly met: boolean | null
  /** The same in numbers, for machines: ms, kB, counts. */
  readonly numbers: Readonly<Record<string, number | boolean>>
}

export function figure(what: string, value: string, more: Partial<Figure> = {}): Figure {
  return { what, value, beside: '', target: '', met: null, numbers: {}, ...more }
}

export function ms(value: number): string {
  return value >= 1_000 ? `${(value / 1_000).toFixed(2)} s` : `${value.toFixed(1)} ms`
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
}
