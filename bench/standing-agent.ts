/**
 * A running agent with a full table, connected to the controller: in the guest, on a real kernel, or natively
 * on one that takes everything and keeps nothing. Programmed and then idle for as long as asked before it is handed out, which is measured as well.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Controller } from '../test/lab/fleet/controller.ts'
import type { FleetLab } from '../test/lab/fleet/fleet-lab.ts'
import { AGENT_NODE_FLAGS } from '../scripts/build.ts'
import { agentCommand } from './agent-command.ts'
import { bundle } from './bundle.ts'
import { SITE, standingIntent } from './intent.ts'
import { inNamespace, joinManagement } from './namespace.ts'
import { cpuMsOf } from './proc.ts'
import type { Size } from './size.ts'

const PROGRAM_BOUND_MS = 180_000
/** The first seconds after programming still copy the state to the second slot. */
const SETTLE_MS = 15_000

export type StandingAgent = {
  readonly name: string
  readonly read: (file: 'stat' | 'status') => Promise<string>
  readonly cpuMs: () => Promise<number>
  /** CPU of a second without any change, in ms. */
  readonly idleCpuMsPerSecond: number
}

type Started = Pick<StandingAgent, 'read'> & {
  readonly stop: () => Promise<void>
}

let made = 0

/** On the lab's kernel. */
export async function withAgentInGuest<T>(
  fleet: FleetLab,
  size: Size,
  idleMs: number,
  work: (agent: StandingAgent & { readonly host: string }) => Promise<T>,
): Promise<T> {
  const { controller, lab } = fleet
  const name = await nextDirector(controller, size)
  return inNamespace(lab, async (host) => {
    await joinManagement(lab, host)
    const started = await startInGuest(fleet, name, host)
    return stand(controller, name, idleMs, started, (agent) => work({ ...agent, host }))
  })
}

/** On a kernel that takes everything and keeps nothing. */
export async function withNativeAgent<T>(
  controller: Controller,
  size: Size,
  idleMs: number,
  work: (agent: StandingAgent) => Promise<T>,
): Promise<T> {
  const name = await nextDirector(controller, size)
  return stand(controller, name, idleMs, await startNative(controller, name), work)
}

/** A name of its own: an identity does not outlive the director that it was made for. */
async function nextDirector(controller: Controller, size: Size): Promise<string> {
  const name = `dir-${size}-${++made}`
  await controller.call('PUT', '/v1/fleet?allowShrink=true', standingIntent(name, size))
  return name
}

async function stand<T>(
  controller: Controller,
  name: string,
  idleMs: number,
  { stop, read }: Started,
  work: (agent: StandingAgent) => Promise<T>,
): Promise<T> {
  try {
    await converged(controller, name, PROGRAM_BOUND_MS)
    const cpuMs = async () => cpuMsOf(await read('stat'))
    await sleep(SETTLE_MS)
    const before = await cpuMs()
    await sleep(idleMs)
    const idleCpuMsPerSecond = ((await cpuMs()) - before) / Math.max(1, idleMs / 1_000)
    return await work({ name, read, cpuMs, idleCpuMsPerSecond })
  } finally {
    await stop()
  }
}

/** What is published is in the kernel, and the agent said so. */
export async function converged(
  controller: Controller,
  name: string,
  withinMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + withinMs
  for (;;) {
    const said = await controller.condition('director', name, 'converged')
    if (said.status) return
    if (Date.now() > deadline) throw new Error(`${name} did not converge: ${said.message}`)
    await sleep(50)
  }
}

async function startInGuest(fleet: FleetLab, name: string, host: string): Promise<Started> {
  const { lab } = fleet
  const env = { LVSFLEET_TOKEN: await joinToken(fleet.controller, name) }
  const agent = await lab.spawn(host, agentCommand(fleet, name), { name: `agent-${name}`, env })
  return {
    read: (file) => lab.readFile(`/proc/${agent.pid}/${file}`),
    stop: async () => {
      await agent.stop()
    },
  }
}

async function startNative(controller: Controller, name: string): Promise<Started> {
  const program = await bundle(new URL('native/agent.ts', import.meta.url))
  const stateDir = mkdtempSync(join(tmpdir(), 'lvsfleet-bench-'))
  const words = ['run', '--api', controller.url, '--role', 'director', '--name', name]
  const child = spawn(
    process.execPath,
    [...AGENT_NODE_FLAGS, program, ...words, '--state-dir', stateDir],
    { stdio: 'ignore', env: { ...process.env, LVSFLEET_TOKEN: await joinToken(controller, name) } },
  )
  return {
    read: async (file) => readFileSync(`/proc/${child.pid}/${file}`, 'utf8'),
    stop: async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await Promise.race([gone, sleep(10_000, undefined, { ref: false })])
      child.kill('SIGKILL')
      rmSync(stateDir, { recursive: true, force: true })
    },
  }
}

async function joinToken(controller: Controller, name: string): Promise<string> {
  const body = { role: 'director', site: SITE, name }
  const answer = await controller.call('POST', '/v1/join-tokens', body)
  return (answer as { token: string }).token
}
