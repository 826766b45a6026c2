/** Times as operators write them in options. */
import { CliError } from './cli-error.ts'

const UNITS_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 }

/** ms of `30m`, `2h` or `7d`. */
export function durationMs(option: string, text: string): number {
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? []
  const unitMs = UNITS_MS[unit ?? '']
  if (unitMs === undefined) {
    throw new CliError(`${option} ${text} is no time such as 30m, 2h or 7d`, 2)
  }
  return Number(count) * unitMs
}
