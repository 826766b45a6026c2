/**
 * A running agent with a full table, connected to the controller: in the guest, on a real kernel, or natively
 * on one that takes everything and keeps nothing. Programmed and then idle for as long as asked before it is handed out, which is measured as well.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
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
  /** Its namespace in the guest; undefined natively. */
  readonly host: string | undefined
  readonly read: (file: 'stat' | 'status') => Promise<string>
  readonly cpuMs: () => Promise<number>
  /** CPU of a second without any change, in ms. */
  readonly idleCpuMsPerSecond: number
}

type Started = Pick<StandingAgent, 'host' | 'read'> & {
  readonly stop: () => Promise<void>
}

let made = 0

export async function withStandingAgent<T>(
  fleet: FleetLab,
  place: 'guest' | 'native',
  size: Size,
  idleMs: number,
  work: (agent: StandingAgent) => Promise<T>,
): Promise<T> {
  // A name of its own: an identity does not outlive the director that it was made for.
  const name = `dir-${place}-${size}-${++made}`
  const query = '?allowShrink=true'
  await fleet.applyIntent(standingIntent(name, size), query)
  if (place === 'native') return stand(fleet, name, idleMs, await startNative(fleet, name), work)
  return inNamespace(fleet.lab, async (host) => {
    await joinManagement(fleet.lab, host)
    return stand(fleet, name, idleMs, await startInGuest(fleet, name, host), work)
  })
}

async function stand<T>(
  fleet: FleetLab,
  name: string,
  idleMs: number,
  { stop, host, read }: Started,
  work: (agent: StandingAgent) => Promise<T>,
): Promise<T> {
  try {
    await fleet.converged([name], PROGRAM_BOUND_MS)
    const cpuMs = async () => cpuMsOf(await read('stat'))
    await sleep(SETTLE_MS)
    const before = await cpuMs()
    await sleep(idleMs)
    const idleCpuMsPerSecond = ((await cpuMs()) - before) / Math.max(1, idleMs / 1_000)
    return await work({ name, host, read, cpuMs, idleCpuMsPerSecond })
  } finally {
    await stop()
  }
}

async function startInGuest(fleet: FleetLab, name: string, host: string): Promise<Started> {
  const { lab } = fleet
  const env = { LVSFLEET_TOKEN: await joinToken(fleet, name) }
  const agent = await lab.spawn(host, agentCommand(fleet, name), { name: `agent-${name}`, env })
  return {
    host,
    read: (file) => lab.readFile(`/proc/${agent.pid}/${file}`),
    stop: async () => {
      await agent.stop()
    },
  }
}

async function startNative(fleet: FleetLab, name: string): Promise<Started> {
  const program = await bundle(new URL('native/agent.ts', import.meta.url))
  const stateDir = mkdtempSync(join(tmpdir(), 'lvsfleet-bench-'))
  const words = ['run', '--api', fleet.controller.url, '--role', 'director', '--name', name]
  const child = spawn(
    process.execPath,
    [...AGENT_NODE_FLAGS, program, ...words, '--state-dir', stateDir],
    { stdio: 'ignore', env: { ...process.env, LVSFLEET_TOKEN: await joinToken(fleet, name) } },
  )
  return {
    host: undefined,
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

async function joinToken(fleet: FleetLab, name: string): Promise<string> {
  const body = { role: 'director', site: SITE, name }
  const answer = await fleet.controller.call('POST', '/v1/join-tokens', body)
  return (answer as { token: string }).token
}
