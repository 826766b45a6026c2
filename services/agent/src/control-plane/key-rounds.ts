/** Replaces the host's key when it is old, while the agent runs. A failure waits for the next look: the old key goes on. */
import * as z from 'zod/mini'
import { loadSealedJson, saveSealedJson } from '../disk/sealed.ts'
import type { Clock, Disk, Log, Random } from '../ports.ts'
import type { ControlPlane } from './client.ts'
import type { HostKeys } from './host-keys.ts'

const FILE = 'key-age.json'
const LOOK_MS = 3_600_000
export const DAY_MS = 86_400_000

const ageSchema = z.object({ x: z.string(), sinceMs: z.number() })

export type KeyRoundsDeps = {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly keys: HostKeys
  readonly controlPlane: Pick<ControlPlane, 'rotateKey'>
  readonly everyDays: number
}

export async function keyRounds(deps: KeyRoundsDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await keyRound(deps, signal)
    } catch (error) {
      if (!signal.aborted) deps.log('warn', 'key not replaced', { error: String(error) })
    }
    await deps.clock.sleep(LOOK_MS * (0.5 + deps.random()), signal)
  }
}

/** One look; true when the key was replaced. */
export async function keyRound(deps: KeyRoundsDeps, signal?: AbortSignal): Promise<boolean> {
  const { keys, clock, disk, log } = deps
  const now = clock.wallMs()
  const { x } = keys.current()
  const parsed = ageSchema.safeParse(await loadSealedJson(disk, FILE))
  if (!parsed.success || parsed.data.x !== x) {
    await saveSealedJson(disk, FILE, { x, sinceMs: now })
    return false
  }
  // A wall clock that jumped, either way, at worst replaces a key early.
  if (Math.abs(now - parsed.data.sinceMs) < deps.everyDays * DAY_MS) return false
  const answer = await deps.controlPlane.rotateKey(signal)
  if (answer.is === 'refused') {
    log('warn', 'key not replaced', { detail: answer.detail })
    return false
  }
  await saveSealedJson(disk, FILE, { x: keys.current().x, sinceMs: now })
  log('info', 'host key replaced')
  return true
}
