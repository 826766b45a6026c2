/** One value, three forms: table for people, json and yaml for machines. */
import { stringify } from 'yaml'
import { CliError } from '../cli-error.ts'

export function printValue(value: unknown, output: string | undefined, table: () => string): void {
  switch (output ?? 'table') {
    case 'table':
      return write(table())
    case 'json':
      return write(JSON.stringify(value, null, 2))
    case 'yaml':
      return write(stringify(value).trimEnd())
    default:
      throw new CliError(`--output ${output} is not one of table, json, yaml`, 2)
  }
}

export function write(text: string): void {
  if (text !== '') process.stdout.write(`${text}\n`)
}
