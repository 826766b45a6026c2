/**
 * What commander finds wrong with a command line, as one line like every other failure, with the command whose --help says
 * what there is. Takes the whole program, once all its commands are there.
 */
import type { Command, CommanderError } from 'commander'
import { CliError } from './cli-error.ts'

/** From now on the program throws CliError, and prints nothing about errors itself. */
export function throwUsageErrors(program: Command): void {
  program.configureOutput({ outputError: () => undefined }).exitOverride((error) => {
    throw asCliError(error, program)
  })
  for (const command of program.commands) throwUsageErrors(command)
}

/** Help that was asked for, or shown where a command is missing, is no error. */
function asCliError(error: CommanderError, command: Command): Error {
  if (error.exitCode === 0 || error.code === 'commander.help') return error
  // `error: unknown option '--foo'`, and on a second line `(Did you mean --force?)`.
  const text = error.message
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean /, ' (did you mean ')
    .replace(/\.$/, '')
  return new CliError(`${text}: see ${pathOf(command)} --help`, 2)
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}
