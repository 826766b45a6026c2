/**
 * Makes the lab's kernels as a compiled fleet says, with what ships: the agent's bundle and its `apply FILE`.
 * Takes host states; director and real servers are programmed by it alone.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Compiled } from '../../../services/api/src/compile/compile.ts'
import { AGENT_NODE_FLAGS, buildAgent } from '../../../scripts/build.ts'
import type { Lab } from '../lab.ts'
import { inTurn } from './in-turn.ts'

const APPLY_TIMEOUT_MS = 60_000
/** Two emulated CPUs. */
const AT_A_TIME = 3

/** Hosts of the lab only: what a Local Node needs is in its director's state. */
export async function program(
  lab: Lab,
  compiled: Compiled,
  only: readonly string[] = lab.topology.hosts.map(({ name }) => name),
): Promise<void> {
  const bundle = await buildAgent()
  const hosts = [...compiled.hosts.values()].filter(({ name }) => only.includes(name))
  mkdirSync(join(lab.dir, 'states'), { recursive: true })
  await inTurn(hosts, AT_A_TIME, async ({ name, state }) => {
    writeFileSync(join(lab.dir, 'states', `${name}.json`), JSON.stringify(state))
    const file = `${lab.guestDir}/states/${name}.json`
    const words = ['apply', file, '--allow-shrink', '--state-dir', `/root/agents/${name}`]
    const command = [process.execPath, ...AGENT_NODE_FLAGS, bundle, ...words]
    await lab.sh(name, command, { timeoutMs: APPLY_TIMEOUT_MS })
  })
}
