#!/usr/bin/env node
/**
 * lvsfleet-agent: command line → ports → command → exit code. SIGTERM and SIGINT stop the loops and
 * leave the kernel as it is; so does a crash.
 */
import en from 'zod/v4/locales/en.js'
import * as z from 'zod/mini'
import { loadAwsPart } from './aws/aws-part.ts'
import { runCommand } from './cli/run-command.ts'
import type { Outside } from './cli/session.ts'
import { EXIT, parseConfig } from './config.ts'
import { KernelError } from './kernel/kernel.ts'
import { openKernel } from './kernel/linux-kernel.ts'
import { AgentError, errnoOf, WireError } from './ports.ts'
import { createLog, systemClock } from './system.ts'

// zod/mini has no words of its own for what is wrong with a value.
z.config(en())

async function main(args: readonly string[]): Promise<number> {
  const config = parseConfig(args)
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort())
  const outside: Outside = {
    clock: systemClock,
    random: Math.random,
    log: createLog(config.log, (line) => deaf(process.stderr).write(line)),
    print: (text) => deaf(process.stdout).write(text),
    openKernel,
    openDoctor: async () => (await import('./doctor/host-doctor.ts')).openHostDoctor(config),
    openPathSockets: async () => (await import('./kernel/path/marked-sockets.ts')).markedSockets,
    aws: loadAwsPart,
    signal: stop.signal,
  }
  const { command, help, version } = config
  // Nothing but what a start needs is loaded before the kernel has its state.
  if (command === 'run' && !help && !version) return runCommand(config, outside)
  const { otherCommand, tellOfProgram } = await import('./cli/other-commands.ts')
  if (command === 'run' || help || version) return tellOfProgram(config, outside.print)
  return otherCommand(command, config, outside)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  deaf(process.stderr).write(`lvsfleet-agent: ${lineOf(error)}\n`)
  process.exitCode = error instanceof AgentError ? error.exitCode : EXIT.failure
}

/**
 * The stream, whose errors nobody hears: who read it is gone, and that is no reason to stop keeping the kernel as it should
 * be. Asked for when there is something to say, because a stream of Node takes a while to make.
 */
function deaf(stream: NodeJS.WriteStream): NodeJS.WriteStream {
  if (stream.listenerCount('error') === 0) stream.on('error', () => undefined)
  return stream
}

/** One line for what the world did; the stack for what we did wrong. */
function lineOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const isWorld =
    error instanceof AgentError ||
    error instanceof WireError ||
    error instanceof KernelError ||
    errnoOf(error) !== undefined
  return isWorld ? error.message : (error.stack ?? error.message)
}
