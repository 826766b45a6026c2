/**
 * A whole small fleet for tests and for the demo: the controller on the host, the two-site lab, and an
 * agent on every director and real server that enrolled by a join token as a stranger's would.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { AGENT_NODE_FLAGS, buildAgent } from '../../../scripts/build.ts'
import { startLab, type Lab } from '../lab.ts'
import type { Topology } from '../topology.ts'
import type { Process } from '../host/process.ts'
import { Controller, type HostCondition } from './controller.ts'

export const DIRECTORS = ['dir-a', 'dir-b'] as const
export const REAL_SERVERS = ['rs-a1', 'rs-a2', 'rs-b1', 'rs-b2'] as const
const HOSTS = [...DIRECTORS, ...REAL_SERVERS]
/** A command that does nothing takes 100 to 200 ms where nothing else runs. */
const QUIET_MS = 350
const EXAMPLE = fileURLToPath(new URL('../../../examples/two-sites.yaml', import.meta.url))

/** The document that the README starts with: the same intent for tests, demo and reader. */
export function twoSiteIntent(): Record<string, Record<string, Record<string, unknown>>> {
  return parse(readFileSync(EXAMPLE, 'utf8')) as Record<
    string,
    Record<string, Record<string, unknown>>
  >
}

type StartOptions = {
  /** With a fresh join token. */
  readonly enrol?: boolean
  readonly selfChecks?: boolean
  readonly pathSeconds?: number
  /** Words before the command, such as those that make it another user's. */
  readonly as?: readonly string[]
  /** Another agent than this checkout's. */
  readonly bundle?: string
}

export class FleetLab implements AsyncDisposable {
  readonly controller: Controller
  readonly lab: Lab
  readonly agents = new Map<string, Process>()
  /** When the running agent of a host was started: what was reported before, it has not seen. */
  private readonly startedAt = new Map<string, number>()
  private readonly bundle: string

  private constructor(controller: Controller, lab: Lab, bundle: string) {
    this.controller = controller
    this.lab = lab
    this.bundle = bundle
  }

  /** Controller and lab side by side; no intent and no agent yet. */
  static async start(
    log: (text: string) => void = () => {},
    topology?: Topology,
  ): Promise<FleetLab> {
    const bundle = await buildAgent()
    log('starting the controller on embedded Postgres')
    const controller = await Controller.start(join(tmpdir(), `lvsfleet-${randomUUID()}`))
    log('booting the kernel lab')
    try {
      const lab = await startLab({ apiPort: controller.port, log, topology })
      return new FleetLab(controller, lab, bundle)
    } catch (error) {
      await controller.stop()
      throw error
    }
  }

  /** Intent, servers and all six agents; returns when every host has converged. */
  async bringUp(
    log: (text: string) => void = () => {},
    intent: unknown = twoSiteIntent(),
  ): Promise<void> {
    await this.serveAll()
    log('applying the two-site intent')
    await this.applyIntent(intent)
    log('enrolling two directors and four real servers')
    await Promise.all(HOSTS.map((name) => this.startAgent(name)))
    await this.converged()
    await this.quiet()
  }

  /** Six agents that have just started keep one emulated processor busy for a while, and packets waiting. */
  private async quiet(withinMs = 20_000): Promise<void> {
    const deadline = Date.now() + withinMs
    for (let quick = 0; quick < 3 && Date.now() < deadline;) {
      const since = Date.now()
      await this.lab.sh('dir-a', 'true')
      quick = Date.now() - since < QUIET_MS ? quick + 1 : 0
      await sleep(300)
    }
  }

  async serveAll(): Promise<void> {
    await Promise.all(REAL_SERVERS.map((name) => this.lab.serve(name, { ports: [80] })))
  }

  async applyIntent(document: unknown, query = ''): Promise<unknown> {
    return await this.controller.call('PUT', `/v1/fleet${query}`, document)
  }

  /** Starts the agent of a host; the first time with a fresh join token, later from its own identity. */
  async startAgent(
    name: string,
    { enrol = true, selfChecks = false, pathSeconds = 300, as = [], bundle }: StartOptions = {},
  ): Promise<Process> {
    // Six hosts that try out one emulated kernel at once would take the time that is measured here.
    const env: Record<string, string> = { LVSFLEET_SELF_CHECKS: selfChecks ? 'on' : 'off' }
    env['LVSFLEET_PATH_SECONDS'] = String(pathSeconds)
    if (enrol) env['LVSFLEET_TOKEN'] = await this.joinToken(name)
    const startedAt = Date.now()
    const command = this.agentCommand(name).map((word) =>
      word === this.bundle ? (bundle ?? word) : word,
    )
    const agent = await this.lab.spawn(name, [...as, ...command], {
      name: `agent-${name}`,
      env,
    })
    this.agents.set(name, agent)
    this.startedAt.set(name, startedAt)
    return agent
  }

  /** The command line of a host's agent, with more words behind it when asked. */
  agentCommand(name: string, ...words: readonly string[]): string[] {
    const command = words.length === 0 ? ['run'] : words
    return [
      process.execPath,
      ...AGENT_NODE_FLAGS,
      this.bundle,
      ...command,
      '--state-dir',
      this.stateDir(name),
      ...(command[0] === 'run'
        ? ['--api', this.lab.apiUrl, '--role', roleOf(name), '--name', name]
        : []),
    ]
  }

  stateDir(name: string): string {
    return `${this.lab.guestDir}/agents/${name}`
  }

  async stopAgent(name: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const agent = this.agents.get(name)
    if (agent === undefined) return
    await agent.kill(signal)
    await agent.exited
    this.agents.delete(name)
  }

  /** Waits until the running agent of every named host says that what is published is in its kernel. */
  async converged(names: readonly string[] = HOSTS, timeoutMs = 60_000): Promise<void> {
    const deadline = Date.now() + timeoutMs
    for (const name of names) {
      for (;;) {
        const said = await this.condition(name, 'converged')
        if (said.status && said.reportedAt > (this.startedAt.get(name) ?? 0)) break
        if (Date.now() > deadline) {
          throw new Error(
            `${name} did not converge: ${said.message}\n${this.agents.get(name)?.output() ?? ''}`,
          )
        }
        await sleep(100)
      }
    }
  }

  condition(name: string, type: string): Promise<HostCondition> {
    return this.controller.condition(roleOf(name), name, type)
  }

  async stop(): Promise<void> {
    await this.lab.stop()
    await this.controller.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  private async joinToken(name: string): Promise<string> {
    const site = name.includes('-a') ? 'a' : 'b'
    const answer = await this.controller.call('POST', '/v1/join-tokens', {
      role: roleOf(name),
      site,
      name,
    })
    return (answer as { token: string }).token
  }
}

export function roleOf(name: string): 'director' | 'real-server' {
  return name.startsWith('dir-') ? 'director' : 'real-server'
}
