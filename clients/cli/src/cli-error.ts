/** A failure that a person can act on: one line, and an exit code that scripts can use. */

/** 1: the API refused or a thing is missing. 2: used wrongly. 3: the API cannot be reached. */
export type ExitCode = 1 | 2 | 3

export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: ExitCode

  constructor(message: string, exitCode: ExitCode) {
    super(message)
    this.exitCode = exitCode
  }
}
