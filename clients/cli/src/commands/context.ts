/** What every command is given: the API, and how to print. */
import type { Command } from 'commander'
import { createApiClient, type ApiClient } from '../api-client.ts'
import { readConfig, type GlobalOptions } from '../config.ts'

export type Context = { readonly api: ApiClient; readonly output: string | undefined }

/** Reads the global options of the program that the command belongs to. */
export function contextOf(command: Command): Context {
  const options = command.optsWithGlobals<GlobalOptions>()
  return { api: createApiClient(readConfig(options)), output: options.output }
}
