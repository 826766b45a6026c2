/** Keeps the figures of a run with what they were measured on; no names, addresses or paths of the host. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Figure } from './figure.ts'

const FILE = fileURLToPath(new URL('results/latest.json', import.meta.url))

export type Measured = {
  readonly row: string
  readonly inGuest: boolean
  readonly seconds: number
  readonly figures: readonly Figure[]
}
export type Guest = {
  readonly engine: string
  readonly kernel: string
  readonly ipvsadm: string
  readonly keepalived: string
}

/** Rows that were not measured this time keep their earlier figures, each with its own date. */
export function record(rows: readonly Measured[], guest: Guest | undefined): string {
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMb: Math.round(totalmem() / 1_048_576),
    kernel: release(),
    node: process.version,
  }
  const kept = earlier()
  const date = new Date().toISOString()
  for (const { row, inGuest, seconds, figures } of rows) {
    const ran = { date, machine, seconds, figures }
    if (!inGuest) kept[row] = ran
    else if (guest !== undefined) kept[`${row} on ${guest.engine}`] = { ...ran, guest }
  }
  mkdirSync(new URL('results/', import.meta.url), { recursive: true })
  writeFileSync(FILE, `${JSON.stringify({ rows: kept }, null, 2)}\n`)
  return 'bench/results/latest.json'
}

function earlier(): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(FILE, 'utf8'))
    if (typeof value !== 'object' || value === null || !('rows' in value)) return {}
    return typeof value.rows === 'object' && value.rows !== null ? { ...value.rows } : {}
  } catch {
    return {}
  }
}
