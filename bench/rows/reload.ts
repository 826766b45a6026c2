/**
 * All weights of a full table changed under a running program: keepalived reads its file again, the agent hears
 * of it from the controller, whose compiling, signing and sending is in its figure.
 */
import type { FleetLab } from '../../test/lab/fleet/fleet-lab.ts'
import { figure, ms, type Figure } from '../figure.ts'
import { untilWeight, watched } from '../full-table.ts'
import { membersAt, WIDE_POOL } from '../intent.ts'
import { keepalivedReload } from '../keepalived.ts'
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
  const agent = await byAgent(fleet)
  const reload = await keepalivedReload(fleet.lab, SIZE, { first: 3, second: 7 }, REPEATS)
  return [
    figure(`all weights changed, ${sizeName(SIZE)}: API call to kernel, running agent`, ms(agent), {
      beside: `keepalived reload ${ms(reload)}: ${(reload / agent).toFixed(1)} x`,
      target: "ahead of keepalived's reload",
      met: agent < reload,
      numbers: { agentMs: agent, keepalivedMs: reload, ratio: reload / agent },
    }),
  ]
}

function byAgent(fleet: FleetLab): Promise<number> {
  return withAgentInGuest(fleet, SIZE, 0, ({ host, name }) => {
    let weight = 100
    return watched(REPEATS, async (quietMs) => {
      const words = untilWeight(++weight, SIZE * WIDTH, quietMs)
      const seen = fleet.lab.sh(host, words, { timeoutMs: BOUND_MS })
      const started = performance.now()
      const body = { members: membersAt(weight) }
      const [, ended] = await Promise.all([
        fleet.controller.call('PATCH', `/v1/pools/${WIDE_POOL}?force=true`, body),
        seen.then(() => performance.now()),
      ])
      await converged(fleet.controller, name)
      return ended - started
    })
  })
}
