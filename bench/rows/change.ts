/** What one weight change costs the agent on a real processor, and how long the API takes for it, at each size of table; the kernel takes everything. */
import { figure, median, ms, type Figure } from '../figure.ts'
import type { Outside } from '../outside.ts'
import type { Row } from '../row.ts'
import { SIZES, sizeName } from '../size.ts'
import { withNativeAgent } from '../standing-agent.ts'
import { weightChanges } from '../weight-changes.ts'

const IDLE_MS = 20_000
const WARM_UP = 10
const CHANGES = 100
const TARGET_MS = 5

export const changeRow: Row = {
  name: 'change',
  summary: "the agent's CPU for one weight change",
  inGuest: false,
  measure,
}

async function measure(outside: Outside): Promise<readonly Figure[]> {
  const controller = await outside.controller()
  const figures: Figure[] = []
  for (const size of SIZES) {
    outside.log(`weight changes on ${sizeName(size)}`)
    const { each, answerMs } = await withNativeAgent(controller, size, IDLE_MS, async (agent) => {
      const change = weightChanges(controller, agent.name)
      await change(WARM_UP)
      const started = performance.now()
      const before = await agent.cpuMs()
      const answers = await change(CHANGES)
      const seconds = (performance.now() - started) / 1_000
      const cpuMs = (await agent.cpuMs()) - before - seconds * agent.idleCpuMsPerSecond
      return { each: Math.max(0, cpuMs) / CHANGES, answerMs: median(answers) }
    })
    figures.push(
      figure(`agent CPU of one weight change on ${sizeName(size)}`, `${each.toFixed(1)} ms`, {
        target: `< ${TARGET_MS} ms`,
        met: each < TARGET_MS,
        numbers: { cpuMsPerChange: each },
      }),
      figure(`the API's answer to it, published, median of ${CHANGES}`, ms(answerMs), {
        numbers: { answerMs },
      }),
    )
  }
  return figures
}
