/** Times as people write them: `30s`, `10m`, `2h`, `7d` ago, or a moment. */
import { CliError } from '../cli-error.ts'

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** ISO 8601 of a moment in the past. */
export function momentBefore(option: string, text: string, now: Date): string {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const unitMs = UNITS_MS[unit ?? '']
  if (unitMs !== undefined) return new Date(now.getTime() - Number(count) * unitMs).toISOString()
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) {
    throw new CliError(`${option} ${text} is neither a time such as 10m, 2h, 7d nor a moment`, 2)
  }
  return new Date(time).toISOString()
}
