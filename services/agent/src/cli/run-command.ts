/**
 * `run`: the last good state first, before any network call; then the control plane; then for ever. All that is not needed
 * for the first is loaded after it: until then a host that was started has no service.
 */
import type { Agent } from '../agent.ts'
import type { Config } from '../config.ts'
import { openDisk } from '../disk/node-disk.ts'
import { takeLock } from '../disk/lock.ts'
import { createHostHealth } from '../health/host-health.ts'
import { logRound } from '../log-round.ts'
import { AgentError } from '../ports.ts'
import { FOLDERS } from '../state/store.ts'
import { recallChecks } from '../status-file.ts'
import { openSession, type Outside } from './session.ts'

export async function runCommand(config: Config, outside: Outside): Promise<number> {
  if (config.dryRun) return (await import('./dry-run.ts')).dryRun(config, outside)
  const disk = await openDisk(config.stateDir, Object.values(FOLDERS))
  const unlock = takeLock(config.stateDir)
  const kernel = await outside.openKernel()
  const recalled = await recallChecks(disk)
  const health = createHostHealth({ ...outside, scriptFolder: config.allowScripts, recalled })
  const open = () => openSession(outside, disk, kernel, health)
  let agent: Agent | undefined
  try {
    const session = await open()
    agent = session.agent
    await agent.load()
    const started = await agent.start()
    logRound(outside.log, 'last good state programmed', started, agent)
    const { carryOn } = await import('./carry-on.ts')
    return await carryOn(config, outside, { session, open, kernel, health, started })
  } catch (error) {
    // What an operator must mend is not the state's fault: no step towards quarantine.
    if (error instanceof AgentError) await agent?.markHarmless()
    throw error
  } finally {
    kernel.close()
    unlock()
  }
}
