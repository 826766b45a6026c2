/** The log of a function: one JSON object a line on stdout, which Lambda keeps. As pino writes them, at a tenth of its code. */
import type { Log } from '../verbs/deps.ts'

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const

export function jsonLog(
  least: (typeof LEVELS)[number],
  write: (line: string) => void = (line) => void process.stdout.write(line),
): Log {
  const at = (level: 'info' | 'warn' | 'error') => (fields: object, message: string) => {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(least)) return
    const entry = { level, time: new Date().toISOString(), msg: message, ...fields }
    write(`${JSON.stringify(entry, (_, value: unknown) => toldError(value))}\n`)
  }
  return { info: at('info'), warn: at('warn'), error: at('error') }
}

/** Errors have no fields of their own that JSON would show. */
function toldError(value: unknown): unknown {
  if (!(value instanceof Error)) return value
  const { name, message, stack, cause } = value
  return { type: name, message, stack, ...(cause === undefined ? {} : { cause }) }
}
