/** What the doctor takes from outside, on a real host. */
import { awaitProbeAnswer } from '../capabilities/probe-answer.ts'
import { probeInScratch } from '../capabilities/scratch-namespace.ts'
import type { Config } from '../config.ts'
import { openInspector } from '../kernel/inspect/inspector.ts'
import { systemClock } from '../system.ts'
import { hostReader } from './facts/host-reader.ts'
import type { DoctorPorts } from './ports.ts'

export function openHostDoctor({ kernelProbe }: Pick<Config, 'kernelProbe'>): DoctorPorts {
  return {
    reader: hostReader,
    openInspector: async () => openInspector(),
    probe: async (signal) =>
      (await awaitProbeAnswer(kernelProbe, systemClock, signal)) ??
      probeInScratch(ownCommand('probe-kernel'), signal),
  }
}

/** This same program, as another process. */
function ownCommand(name: string): string[] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? '', name]
}
