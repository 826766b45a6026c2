/**
 * All weights of a full table changed under a running program: keepalived reads its file again, the agent hears
 * of it from the controller, whose compiling, signing and sending is in its figure.
 */
import type { FleetLab } from '../../test/lab/fleet/fleet-lab.ts'
import { figure, median, ms, type Figure } from '../figure.ts'
import { membersAt, WIDE_POOL } from '../intent.ts'
import { byKeepalived, untilWeight } from '../keepalived.ts'
import type { Outside } from '../outside.ts'
import type { Row } from '../row.ts'
import { sizeName, WIDTH } from '../size.ts'
import { converged, withAgentInGuest } from '../standing-agent.ts'

const SIZE = 1_000
const REPEATS = 3
const BOUND_MS = 60_000

export const reloadRow: Row = {
  name: 'reload',
  summary: 'all weights changed under a running agent, beside a reload of keepalived',
  inGuest: true,
  measure,
}

async function measure(outside: Outside): Promise<readonly Figure[]> {
  const fleet = await outside.fleet()
  outside.log(`all weights of ${sizeName(SIZE)} changed`)
  const agent = median(await byAgent(fleet))
  const peers: number[] = []
  for (let i = 0; i < REPEATS; i++) {
    peers.push((await byKeepalived(fleet.lab, SIZE, 3, 7)).reload)
  }
  const reload = median(peers)
  return [
    figure(`all weights changed, ${sizeName(SIZE)}: API call to kernel, running agent`, ms(agent), {
      beside: `keepalived reload ${ms(reload)}: ${(reload / agent).toFixed(1)} x`,
      target: "ahead of keepalived's reload",
      met: agent < reload,
      numbers: { agentMs: agent, keepalivedMs: reload, ratio: reload / agent },
    }),
  ]
}

function byAgent(fleet: FleetLab): Promise<number[]> {
  return withAgentInGuest(fleet, SIZE, 0, async ({ host, name }) => {
    const took: number[] = []
    for (let i = 1; i <= REPEATS; i++) {
      const weight = 100 + i
      // Asking costs the guest as much as it costs keepalived.
      const seen = fleet.lab.sh(host, untilWeight(weight, SIZE * WIDTH), { timeoutMs: BOUND_MS })
      const started = performance.now()
      const body = { members: membersAt(weight) }
      const [, ended] = await Promise.all([
        fleet.controller.call('PATCH', `/v1/pools/${WIDE_POOL}?force=true`, body),
        seen.then(() => performance.now()),
      ])
      took.push(ended - started)
      await converged(fleet.controller, name)
    }
    return took
  })
}
