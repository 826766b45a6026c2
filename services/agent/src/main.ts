#!/usr/bin/env node
/**
 * lvsfleet-agent: command line → ports → command → exit code. SIGTERM and SIGINT stop the loops and
 * leave the kernel as it is; so does a crash.
 */
import { VERSION } from '@lvs-fleet/contract'
import en from 'zod/v4/locales/en.js'
import * as z from 'zod/mini'
import { loadAwsPart } from './aws/aws-part.ts'
import { applyCommand } from './cli/apply-command.ts'
import { doctorCommand } from './cli/doctor-command.ts'
import { HELP } from './cli/help.ts'
import { probeCommand } from './cli/probe-command.ts'
import { runCommand } from './cli/run-command.ts'
import { enrolNow, warnIfPlain, type Outside } from './cli/session.ts'
import { statusCommand } from './cli/status-command.ts'
import { awaitProbeAnswer } from './capabilities/probe-answer.ts'
import { probeInScratch } from './capabilities/scratch-namespace.ts'
import { EXIT, parseConfig, type Config } from './config.ts'
import { WireError } from './control-plane/http.ts'
import {
  loadIdentity,
  loadOrMakeKey,
  publicPart,
  setIdentityAside,
} from './control-plane/identity.ts'
import { openDisk } from './disk/node-disk.ts'
import { hostReader } from './doctor/facts/host-reader.ts'
import { releaseHold, setHold } from './hold.ts'
import { KernelError } from './kernel/kernel.ts'
import { AgentError, errnoOf } from './ports.ts'
import { clearQuarantine } from './state/boot-counter.ts'
import { createLog, systemClock } from './system.ts'

// Whoever read them is gone: a log that nobody hears is no reason to stop keeping the kernel as it should be.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

// zod/mini has no words of its own for what is wrong with a value.
z.config(en())

async function main(args: readonly string[]): Promise<number> {
  const config = parseConfig(args)
  if (config.help) return say(HELP)
  if (config.version) return say(`${VERSION}\n`)
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort())
  return runNamed(config, {
    clock: systemClock,
    random: Math.random,
    log: createLog(config.log, (line) => process.stderr.write(line)),
    print: (text) => process.stdout.write(text),
    // Loaded late: enrol, hold and status need neither netlink nor its native parts.
    openKernel: async () => (await import('./kernel/linux-kernel.ts')).openKernel(),
    doctor: {
      reader: hostReader,
      openInspector: async () => (await import('./kernel/inspect/inspector.ts')).openInspector(),
      probe: async (signal) =>
        (await awaitProbeAnswer(config.kernelProbe, systemClock, signal)) ??
        probeInScratch(ownCommand('probe-kernel'), signal),
    },
    openPathSockets: async () => (await import('./kernel/path/marked-sockets.ts')).markedSockets,
    aws: loadAwsPart,
    signal: stop.signal,
  })
}

async function runNamed(config: Config, outside: Outside): Promise<number> {
  switch (config.command) {
    case 'run':
      return runCommand(config, outside)
    case 'apply':
      return applyCommand(config, outside)
    case 'status':
      return statusCommand(config, outside)
    case 'enrol': {
      const disk = await openDisk(config.stateDir)
      if (config.again) await setIdentityAside(disk)
      if ((await loadIdentity(disk)) !== undefined) {
        throw new AgentError(
          `${config.stateDir} is enrolled already: --again makes a new key and enrols anew`,
        )
      }
      if (config.api !== undefined) warnIfPlain(config.api, outside.log)
      const { hostId, name } = await enrolNow(config, outside, disk)
      return say(`enrolled ${name} as ${hostId}\n`)
    }
    case 'key': {
      const key = await loadOrMakeKey(await openDisk(config.stateDir))
      return say(`${JSON.stringify(publicPart(key))}\n`)
    }
    case 'doctor':
      return doctorCommand(config, outside)
    case 'probe-kernel':
      return probeCommand(outside.print)
    case 'hold':
      await setHold(await openDisk(config.stateDir), config.reason ?? 'by hand')
      return say('held: forwarding goes on, nothing is applied\n')
    case 'release': {
      const disk = await openDisk(config.stateDir)
      await clearQuarantine(disk)
      await releaseHold(disk)
      return say('released\n')
    }
  }
}

/** This same program, as another process. */
function ownCommand(name: string): string[] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? '', name]
}

function say(text: string): number {
  process.stdout.write(text)
  return EXIT.ok
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`lvsfleet-agent: ${lineOf(error)}\n`)
  process.exitCode = error instanceof AgentError ? error.exitCode : EXIT.failure
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
