/**
 * All weights of a full table changed under a running program: keepalived reads its file again, the agent hears
 * of it from the controller, whose compiling, signing and sending is in its figure.
 */
import type { FleetLab } from '../../test/lab/fleet/fleet-lab.ts'
import { figure, median, ms, type Figure } from '../figure.ts'
import { WIDE_POOL, membersAt } from '../intent.ts'
import { byKeepalived, untilWeight } from '../keepalived.ts'
import type { Outside } from '../outside.ts'
import type { Row } from '../row.ts'
import { SIZES, sizeName, WIDTH, type Size } from '../size.ts'
import { withStandingAgent } from '../standing-agent.ts'

const REPEATS = 3
const BOUND_MS = 120_000

export const reloadRow: Row = {
  name: 'reload',
  summary: 'all weights changed under a running agent, beside a reload of keepalived',
  inGuest: true,
  measure,
}

async function measure(outside: Outside): Promise<readonly Figure[]> {
  const fleet = await outside.fleet()
  const figures: Figure[] = []
  for (const size of SIZES) {
    outside.log(`all weights of ${sizeName(size)} changed`)
    const agent = median(await byAgent(fleet, size))
    const what = `all weights changed, ${sizeName(size)}: API call to kernel, running agent`
    if (size !== 1_000) {
      figures.push(figure(what, ms(agent), { numbers: { agentMs: agent } }))
      continue
    }
    const peers: number[] = []
    for (let i = 0; i < REPEATS; i++) {
      peers.push((await byKeepalived(fleet.lab, size, 3, 7)).reload)
    }
    const reload = median(peers)
    figures.push(
      figure(what, ms(agent), {
        beside: `keepalived reload ${ms(reload)}: ${(reload / agent).toFixed(1)} x`,
        target: "ahead of keepalived's reload",
        met: agent < reload,
        numbers: { agentMs: agent, keepalivedMs: reload, ratio: reload / agent },
      }),
    )
  }
  return figures
}

function byAgent(fleet: FleetLab, size: Size): Promise<number[]> {
  return withStandingAgent(fleet, 'guest', size, 0, async ({ host = 'root', name }) => {
    const took: number[] = []
    for (let i = 1; i <= REPEATS; i++) {
      const weight = 100 + i
      // Asking costs the guest as much as it costs keepalived.
      const seen = fleet.lab.sh(host, untilWeight(weight, size * WIDTH), { timeoutMs: BOUND_MS })
      const started = performance.now()
      const body = { members: membersAt(weight) }
      const [, ended] = await Promise.all([
        fleet.controller.call('PATCH', `/v1/pools/${WIDE_POOL}?force=true`, body),
        seen.then(() => performance.now()),
      ])
      took.push(ended - started)
      await fleet.converged([name])
    }
    return took
  })
}
