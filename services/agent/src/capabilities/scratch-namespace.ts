/**
 * Runs the probe in a network namespace of its own: `unshare` becomes this same program, which prints what it
 * found as one line of JSON and ends, and with it the namespace and everything in it. Without CAP_SYS_ADMIN a
 * user namespace is tried; where neither can be had, the answer is that nothing is known.
 */
import { release } from 'node:os'
import { capabilitiesSchema, unknownCapabilities, type Capabilities } from '@lvs-fleet/contract'
import { runProgram } from '../kernel/run-program.ts'

/** Half a second of work on a machine; a minute on an emulated one that is busy. */
const TIMEOUT_MS = 120_000
const OUTPUT_BYTES_MAX = 64 * 1024
/** New network namespace; the second with a user namespace, in which anybody may be root. */
const WAYS = [['--net'], ['--user', '--map-root-user', '--net']] as const

/** `command` is this agent's own probe command: program and arguments. */
export async function probeInScratch(
  command: readonly string[],
  signal: AbortSignal,
): Promise<Capabilities> {
  for (const way of WAYS) {
    // With less priority: what the agent does for traffic comes first.
    const line = await outputOf(['nice', '-n', '10', 'unshare', ...way, '--', ...command], signal)
    const found = line === undefined ? undefined : parseCapabilities(line)
    if (found !== undefined) return found
  }
  return unknownCapabilities(release())
}

/** What the probe prints; undefined where it is something else, or not whole yet. */
export function parseCapabilities(line: string): Capabilities | undefined {
  try {
    const parsed = capabilitiesSchema.safeParse(JSON.parse(line))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}

/** What a command prints; undefined when it did not start, failed, printed too much or took too long. */
async function outputOf(
  command: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const bounds = { timeoutMs: TIMEOUT_MS, outputBytesMax: OUTPUT_BYTES_MAX }
  // As this agent was started: the probe is the same program, with the same settings.
  const ended = await runProgram(command, { ...bounds, environment: 'own', signal })
  return ended.is === 'ended' && ended.code === 0 ? ended.stdout : undefined
}
