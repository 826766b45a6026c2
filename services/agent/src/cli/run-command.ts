/** `run`: the last good state first, before any network call; then the control plane; then for ever. */
import type { Agent } from '../agent.ts'
import { openChain } from '../control-plane/chain.ts'
import { createControlPlane, type ControlPlane } from '../control-plane/client.ts'
import { createHttpClient } from '../control-plane/http.ts'
import { keyRounds } from '../control-plane/key-rounds.ts'
import { createPoller } from '../control-plane/poll-loop.ts'
import { createReporter, type Reporter } from '../control-plane/reporter.ts'
import { EXIT, type Config } from '../config.ts'
import { openDisk } from '../disk/node-disk.ts'
import { takeLock } from '../disk/lock.ts'
import { createHostHealth, type HostHealth } from '../health/host-health.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { logRound, runLoop, STATE_APPLIED, type Background } from '../loop.ts'
import { pathRounds } from '../path-mtu/path-rounds.ts'
import { agentMetrics } from '../metrics/agent-metrics.ts'
import { serveMetrics, type ListenAt } from '../metrics/metrics-server.ts'
import { AgentError, type Log } from '../ports.ts'
import { createMemoryRelease, v8Heap } from '../release-memory.ts'
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
  const open = () => openSession(outside, disk, kernel, health)
  let agent: Agent | undefined
  try {
    let session = await open()
    agent = session.agent
    await session.agent.load()
    const started = await session.agent.start()
    logRound(outside.log, 'last good state programmed', started, session.agent)
    if (config.api !== undefined) warnIfPlain(config.api, outside.log)
    if (session.identity === undefined) {
      await enrolNow(config, outside, disk)
      session = await open()
      await session.agent.load()
    }
    const controlPlane = connect(config, outside, session)
    const status = createStatusFile(disk, outside.clock)
    if (config.once) return await runOnce(outside, session, controlPlane)
    const releaseMemory = createMemoryRelease(v8Heap)
    releaseMemory(started)
    if (controlPlane === undefined)
      outside.log('warn', 'no --api: running on the last good state only')
    await runLoop(
      {
        ...outside,
        agent: session.agent,
        kernel,
        status,
        health,
        releaseMemory,
        background: [
          ...(await backgroundOf(config, outside, session, { kernel, health })),
          ...keyBackground(config, outside, session, controlPlane),
        ],
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

/** What this agent does beside its rounds, as far as it was asked to. */
async function backgroundOf(
  config: Config,
  outside: Outside,
  session: Session,
  { kernel, health }: { readonly kernel: Kernel; readonly health: HostHealth },
): Promise<Background[]> {
  const { facts } = session
  const work: Background[] = [(onNews, signal) => health.run({ facts, onNews }, signal)]
  const doctor = config.selfChecks === 'on' ? outside.doctor : undefined
  if (doctor !== undefined) {
    const deps = { ...outside, ...session, kernel, doctor, stateDir: config.stateDir }
    work.push((onNews, signal) => doctorRounds({ ...deps, onNews }, signal))
  }
  const { metrics } = config
  if (metrics !== undefined) {
    const text = () => agentMetrics({ kernel, agent: session.agent })
    work.push((_, signal) => answerScrapes(metrics, text, outside.log, signal))
  }
  const { pathSeconds: everySeconds } = config
  const sockets = everySeconds === 0 ? undefined : await outside.openPathSockets?.()
  if (sockets !== undefined) {
    const deps = { ...outside, ...session, sockets, everySeconds }
    work.push((onNews, signal) => pathRounds({ ...deps, onNews }, signal))
  }
  return work
}

function keyBackground(
  config: Config,
  outside: Outside,
  { disk, keys }: Session,
  connected: Connected | undefined,
): Background[] {
  const { rotateKeyDays: everyDays } = config
  if (connected === undefined || keys === undefined || everyDays === 0) return []
  const deps = { ...outside, disk, keys, controlPlane: connected.client, everyDays }
  return [(_, signal) => keyRounds(deps, signal)]
}

/** A port that is taken costs the metrics, never the agent. */
async function answerScrapes(
  at: ListenAt,
  text: () => Promise<string>,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  try {
    const { close } = await serveMetrics(at, text)
    if (signal.aborted) close()
    else signal.addEventListener('abort', close, { once: true })
  } catch (error) {
    log('warn', 'no metrics: their port cannot be listened on', { ...at, error: String(error) })
  }
}

type Connected = { readonly client: ControlPlane; readonly reporter: Reporter }

function connect(config: Config, outside: Outside, session: Session): Connected | undefined {
  const { identity, keys, trust } = session
  if (config.api === undefined || identity === undefined) return undefined
  if (keys === undefined || trust === undefined)
    throw new AgentError('key.json is gone: enrol this host again')
  const http = createHttpClient(config.api)
  const client = createControlPlane({
    http,
    clock: outside.clock,
    identity,
    keys,
    chain: openChain(session.disk),
    onKeyLists: (lists) => trust.learn(lists),
  })
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
