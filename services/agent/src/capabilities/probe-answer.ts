/**
 * What the kernel can, as another unit found out: systemd gives that one a network namespace, which an agent with
 * CAP_NET_ADMIN alone cannot make. Takes the file that it writes; waits a while, because both start together at boot.
 */
import { readFile } from 'node:fs/promises'
import type { Capabilities } from '@lvs-fleet/contract'
import type { Clock } from '../ports.ts'
import { parseCapabilities } from './scratch-namespace.ts'

const LOOK_EVERY_MS = 1_000
/** The probe takes half a second on a machine, a minute on an emulated one. */
const LOOKS_MAX = 150

/** undefined where no file is named, or nothing that can be read came into it. */
export async function awaitProbeAnswer(
  file: string | undefined,
  clock: Pick<Clock, 'sleep'>,
  signal: AbortSignal,
): Promise<Capabilities | undefined> {
  if (file === undefined) return undefined
  for (let look = 0; look < LOOKS_MAX && !signal.aborted; look++) {
    const found = parseCapabilities(await readFile(file, 'utf8').catch(() => ''))
    if (found !== undefined) return found
    await clock.sleep(LOOK_EVERY_MS, signal)
  }
  return undefined
}
