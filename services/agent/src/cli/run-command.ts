/** `run`: the last good state first, before any network call; then the control plane; then for ever. */
import type { Agent } from '../agent.ts'
import { createControlPlane, type ControlPlane } from '../control-plane/client.ts'
import { createHttpClient } from '../control-plane/http.ts'
import { createPoller } from '../control-plane/poll-loop.ts'
import { createReporter, type Reporter } from '../control-plane/reporter.ts'
import { EXIT, type Config } from '../config.ts'
import { openDisk } from '../disk/node-disk.ts'
import { takeLock } from '../disk/lock.ts'
import { createHostHealth } from '../health/host-health.ts'
import { logRound, runLoop, STATE_APPLIED, type Background } from '../loop.ts'
import { AgentError } from '../ports.ts'
import { FOLDERS } from '../state/store.ts'
import { createStatusFile, loadStatus } from '../status-file.ts'
import { doctorRounds } from '../doctor/host-rounds.ts'
import { dryRun } from './dry-run.ts'
import { enrolNow, openSession, warnIfPlain, type Outside, type Session } from './session.ts'

export async function runCommand(config: Config, outside: Outside): Promise<number> {
  if (config.dryRun) return dryRun(config, outside)
  const disk = await openDisk(config.stateDir, Object.values(FOLDERS))
  const unlock = await takeLock(config.stateDir)
  const kernel = await outside.openKernel()
  const recalled = (await loadStatus(disk))?.snapshot.health?.checks ?? []
  const health = createHostHealth({ ...outside, scriptFolder: config.allowScripts, recalled })
  const open = () => openSession(outside, disk, kernel, health.onState)
  let agent: Agent | undefined
  try {
    let session = await open()
    agent = session.agent
    await session.agent.load()
    logRound(outside.log, 'last good state programmed', await session.agent.start(), session.agent)
    if (config.api !== undefined) warnIfPlain(config.api, outside.log)
    if (session.identity === undefined) {
      await enrolNow(config, outside, disk)
      session = await open()
      await session.agent.load()
    }
    const controlPlane = connect(config, outside, session)
    const doctor = config.selfChecks === 'on' ? outside.doctor : undefined
    const status = createStatusFile(disk, outside.clock)
    if (config.once) return await runOnce(outside, session, controlPlane)
    if (controlPlane === undefined)
      outside.log('warn', 'no --api: running on the last good state only')
    const { facts } = session
    const background: Background[] = [(onNews, signal) => health.run({ facts, onNews }, signal)]
    if (doctor !== undefined) {
      const { stateDir } = config
      background.push((onNews, signal) =>
        doctorRounds({ ...outside, ...session, kernel, doctor, onNews, stateDir }, signal),
      )
    }
    await runLoop(
      {
        ...outside,
        agent: session.agent,
        kernel,
        status,
        background,
        ...(controlPlane === undefined ? {} : { controlPlane }),
      },
      outside.signal,
    )
    await session.agent.markHarmless()
    controlPlane?.client.close()
    return EXIT.ok
  } catch (error) {
    // What an operator must mend is not the state's fault: no step towards quarantine.
    if (error instanceof AgentError) await agent?.markHarmless()
    throw error
  } finally {
    kernel.close()
    await unlock()
  }
}

type Connected = { readonly client: ControlPlane; readonly reporter: Reporter }

function connect(config: Config, outside: Outside, session: Session): Connected | undefined {
  const { identity, key } = session
  if (config.api === undefined || identity === undefined) return undefined
  if (key === undefined) throw new AgentError('key.json is gone: enrol this host again')
  const http = createHttpClient(config.api)
  const client = createControlPlane({ http, clock: outside.clock, identity, key })
  const reporter = createReporter({
    ...outside,
    disk: session.disk,
    controlPlane: client,
    counters: session.counters,
  })
  return { client, reporter }
}

async function runOnce(
  outside: Outside,
  session: Session,
  controlPlane: Connected | undefined,
): Promise<number> {
  const { agent, disk } = session
  if (controlPlane !== undefined) {
    const poller = createPoller({
      ...outside,
      agent,
      controlPlane: controlPlane.client,
      onOffer: (offer) => {
        if (offer.is === 'applied') logRound(outside.log, STATE_APPLIED, offer.round, agent)
      },
    })
    await poller.once(0, outside.signal)
    await controlPlane.reporter.send(agent.snapshot(), outside.signal)
    controlPlane.client.close()
  }
  const snapshot = agent.snapshot()
  await createStatusFile(disk, outside.clock).save(snapshot)
  await agent.markHarmless()
  if (snapshot.rejected !== null) return EXIT.refused
  return snapshot.failedOpCount > 0 || snapshot.applied === null ? EXIT.failure : EXIT.ok
}
