/**
 * One host: kernel and disk that survive, an agent that may die and start again. Drives the agent by hand,
 * without timers and without a network.
 */
import { Agent, type Offer } from '../../services/agent/src/agent.ts'
import { openTrust } from '../../services/agent/src/control-plane/trust.ts'
import type { Log } from '../../services/agent/src/ports.ts'
import type { HealthSource } from '../../services/agent/src/weigh/health.ts'
import { createStateStore } from '../../services/agent/src/state/store.ts'
import { createFakeClock, type FakeClock } from './fake-clock.ts'
import { createFakeController, type FakeController, type Published } from './fake-controller.ts'
import { createFakeDisk, type FakeDisk } from './fake-disk.ts'
import { createFakeKernel, type FakeKernel } from './fake-kernel.ts'

export type FakeHost = {
  readonly kernel: FakeKernel
  readonly disk: FakeDisk
  readonly clock: FakeClock
  readonly controller: FakeController
  readonly logged: string[]
  agent: Agent
  /** The agent starts (again): from disk, no network. */
  start(): Promise<void>
  offer(published: Published, text?: string): Promise<Offer>
}

export async function createFakeHost(
  parts: Partial<Pick<FakeHost, 'kernel' | 'disk' | 'clock' | 'controller'>> & {
    readonly health?: HealthSource
    readonly agentVersion?: string
  } = {},
): Promise<FakeHost> {
  const kernel = parts.kernel ?? createFakeKernel()
  const disk = parts.disk ?? createFakeDisk()
  const clock = parts.clock ?? createFakeClock()
  const controller = parts.controller ?? createFakeController()
  const logged: string[] = []
  const log: Log = (level, message, fields) =>
    logged.push(`${level} ${message} ${JSON.stringify(fields)}`)
  const trust = openTrust({ identity: controller.identity, disk, log })
  const open = (): Promise<Agent> =>
    Agent.open({
      kernel,
      disk,
      clock,
      log,
      facts: {
        bootId: 'boot-1',
        kernelVersion: '6.1.0',
        agentVersion: parts.agentVersion ?? '0.1.0',
      },
      trust: trust.wire,
      store: createStateStore(disk, trust.disk),
      driftCount: 0,
      health: parts.health,
    })
  const host: FakeHost = {
    kernel,
    disk,
    clock,
    controller,
    logged,
    agent: await open(),
    async start() {
      host.agent = await open()
      await host.agent.load()
      await host.agent.start()
    },
    offer: (published, text = published.document) =>
      host.agent.offer(text.split('\n'), { source: 'control-plane' }),
  }
  return host
}
