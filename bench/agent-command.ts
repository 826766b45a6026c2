/** The agent's command line in the guest, with the flags that ship. */
import { AGENT_BUNDLE, AGENT_NODE_FLAGS } from '../scripts/build.ts'
import type { FleetLab } from '../test/lab/fleet/fleet-lab.ts'

export function agentCommand(fleet: FleetLab, name: string, ...words: readonly string[]): string[] {
  const command = fleet.agentCommand(name, ...words)
  return [process.execPath, ...AGENT_NODE_FLAGS, ...command.slice(command.indexOf(AGENT_BUNDLE))]
}
