// A scenario: something to watch on a real kernel, for people (`npm run lab -- NAME`). It gets a lab
// that is up, says what it does and sees through `print`, and throws when it does not come out right.
import type { Lab } from '../lab.ts'
import type { Topology } from '../topology.ts'

export type Print = (text: string) => void

export type ScenarioOptions = {
  /** Write the result into the docs instead of printing it. */
  readonly markdown: boolean
}

export type Scenario = {
  readonly name: string
  readonly summary: string
  /** Default: the two sites. */
  readonly topology?: Topology
  run(lab: Lab, print: Print, options: ScenarioOptions): Promise<void>
}

/** A histogram as lines, most frequent first. */
export function formatHistogram(histogram: Readonly<Record<string, number>>): string {
  const rows = Object.entries(histogram).sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))
  return rows.map(([key, n]) => `${String(n).padStart(6)} × ${key}`).join('\n')
}
