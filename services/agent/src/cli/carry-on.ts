/** `run` from the moment that the last good state is in the kernel: enrols, polls, reports, checks and looks, until it is told to stop. */
import { openChain } from '../control-plane/chain.ts'
import { createControlPlane, type ControlPlane } from '../control-plane/client.ts'
import { createHttpClient } from '../control-plane/http.ts'
import { keyRounds } from '../control-plane/key-rounds.ts'
import { createPoller } from '../control-plane/poll-loop.ts'
import { createReporter, type Reporter } from '../control-plane/reporter.ts'
import { EXIT, type Config } from '../config.ts'
import { doctorRounds } from '../doctor/host-rounds.ts'
import type { HostHealth } from '../health/host-health.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { logRound, STATE_APPLIED } from '../log-round.ts'
import { runLoop, type Background } from '../loop.ts'
import { agentMetrics } from '../metrics/agent-metrics.ts'
import { serveMetrics, type ListenAt } from '../metrics/metrics-server.ts'
import { pathRounds } from '../path-mtu/path-rounds.ts'
import { AgentError, type Log } from '../ports.ts'
import type { RoundResult } from '../reconcile/world.ts'
import { createMemoryRelease, v8Heap } from '../release-memory.ts'
import { createStatusFile } from '../status-file.ts'
import { enrolNow, warnIfPlain } from './enrol-now.ts'
import type { Outside, Session } from './session.ts'

export async function carryOn(
  config: Config,
  outside: Outside,
  begun: {
    readonly session: Session
    /** The session of a host that has just enrolled. */
    readonly open: () => Promise<Session>
    readonly kernel: Kernel
    readonly health: HostHealth
    readonly started: RoundResult
  },
): Promise<number> {
  const { kernel, health, started } = begun
  let { session } = begun
  const { disk } = session
  if (config.api !== undefined) warnIfPlain(config.api, outside.log)
  if (session.identity === undefined) {
    await enrolNow(config, outside, disk)
    session = await begun.open()
    await session.agent.load()
  }
  const controlPlane = connect(config, outside, session)
  if (config.once) return runOnce(outside, session, controlPlane)
  const releaseMemory = createMemoryRelease(v8Heap)
  releaseMemory(started)
  if (controlPlane === undefined)
    outside.log('warn', 'no --api: running on the last good state only')
  await runLoop(
    {
      ...outside,
      agent: session.agent,
      kernel,
      status: createStatusFile(disk, outside.clock),
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
  const doctor = config.selfChecks === 'on' ? await outside.openDoctor?.() : undefined
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
