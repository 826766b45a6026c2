/**
 * The text of a file of changes: states that came after the one in a slot, each as a document that leaves out what was on
 * disk before it. A record is a header with its number of lines and their SHA-256, and then those lines: a cut or rotten
 * record is told from a whole one, and those around it still count. Pure.
 */
import { sha256Hex } from '../disk/sealed.ts'

/** Lines of a state document: the JWS first. */
export type ChangeRecord = readonly string[]

export type ParsedChanges = {
  /** Whole ones, oldest first. */
  readonly records: readonly ChangeRecord[]
  /** Nothing may be written behind what is there. */
  readonly isBroken: boolean
  /** Broken otherwise than by a write that a crash cut off. */
  readonly isRotten: boolean
}

const HEADER = /^change (\d{1,6}) ([0-9a-f]{64})$/

export function formatChange(lines: ChangeRecord): string {
  const body = lines.join('\n')
  return `change ${lines.length} ${sha256Hex(body)}\n${body}\n`
}

export function parseChanges(text: string): ParsedChanges {
  const isCut = text !== '' && !text.endsWith('\n')
  const lines = text.split('\n')
  lines.pop()
  const starts = lines.flatMap((line, i) => (HEADER.test(line) ? [i] : []))
  const records: ChangeRecord[] = []
  let whole = 0
  let isShort = false
  for (const [i, start] of starts.entries()) {
    const [, count, digest] = HEADER.exec(lines[start] ?? '') ?? []
    const end = Math.min(start + 1 + Number(count), starts[i + 1] ?? lines.length)
    const body = lines.slice(start + 1, end)
    isShort = body.length < Number(count)
    if (body.length !== Number(count) || sha256Hex(body.join('\n')) !== digest) continue
    records.push(body)
    whole += body.length + 1
  }
  const isBroken = isCut || whole !== lines.length
  // What a crash cuts off is at the end, and shorter than it says.
  const isTorn = isCut && (isShort || starts.length === records.length)
  return { records, isBroken, isRotten: isBroken && !isTorn }
}
