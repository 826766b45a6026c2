/** A failure that a person can act on: one line, and an exit code that scripts can use. */

/** 1: the API refused or a thing is missing. 2: used wrongly. 3: the API cannot be reached. */
export type ExitCode = 1 | 2 | 3

export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: ExitCode

  /** Of the API's closed list, where the API refused. */
  readonly code: string | undefined

  constructor(message: string, exitCode: ExitCode, code?: string) {
    super(message)
    this.exitCode = exitCode
    this.code = code
  }
}
