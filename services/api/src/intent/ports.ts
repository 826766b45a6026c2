/**
 * Ports as operators write them: single ones as numbers, ranges as text such as `8000-8999`.
 * Takes what was written; gives ranges, sorted, for everything behind the intent.
 */
import { portSchema } from '@lvs-fleet/contract'
import * as z from 'zod'

export type PortRange = { readonly from: number; readonly to: number }

const RANGE = /^([1-9][0-9]{0,4})-([1-9][0-9]{0,4})$/

const portEntrySchema = z.union(
  [portSchema, z.string().refine((text) => parseRange(text) !== undefined)],
  { error: 'must be a port from 1 to 65535, or a range such as "8000-8999"' },
)

/** At most 64 entries, none of which covers a port of another. */
export const portsSchema = z
  .array(portEntrySchema)
  .max(64)
  .refine((entries) => !overlaps(portRanges(entries)), { error: 'has a port twice' })

export function portRanges(entries: readonly (number | string)[]): PortRange[] {
  const ranges: PortRange[] = []
  for (const entry of entries) {
    const range = typeof entry === 'number' ? { from: entry, to: entry } : parseRange(entry)
    if (range !== undefined) ranges.push(range)
  }
  return ranges.toSorted((a, b) => a.from - b.from)
}

/** How many ports there are in all. */
export function portCount(ranges: readonly PortRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)
}

function overlaps(sorted: readonly PortRange[]): boolean {
  return sorted.some((range, i) => {
    const before = sorted[i - 1]
    return before !== undefined && before.to >= range.from
  })
}

function parseRange(text: string): PortRange | undefined {
  const match = RANGE.exec(text)
  if (match === null) return undefined
  const from = Number(match[1])
  const to = Number(match[2])
  return from < to && to <= 65_535 ? { from, to } : undefined
}
