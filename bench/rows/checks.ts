/** What health checks cost a director: thousands a second, on one core, in the memory that the agent may have. */
import { AGENT_NODE_FLAGS } from '../../scripts/build.ts'
import { bundle } from '../bundle.ts'
import { Child } from '../child.ts'
import { figure, type Figure } from '../figure.ts'
import type { ChecksOrder, ChecksResult } from '../measure-checks.ts'
import type { Row } from '../row.ts'

const COUNT = 2_000
const RSS_TARGET_MB = 90

const KINDS: readonly ChecksOrder['probe'][] = [
  { kind: 'tcp' },
  {
    kind: 'http',
    method: 'GET',
    path: '/',
    host: null,
    statuses: [{ from: 200, to: 200 }],
    bodyContains: 'ok',
    bodyMatches: null,
    tls: null,
  },
]

export const checksRow: Row = {
  name: 'checks',
  summary: 'health checks: 2,000 a second on one core, their CPU and memory',
  inGuest: false,
  measure,
}

async function measure(): Promise<readonly Figure[]> {
  using checked = new Child(new URL('../native/checked.ts', import.meta.url))
  const { port } = (await checked.ask()) as { port: number }
  const program = await bundle(new URL('../native/checks.ts', import.meta.url))
  const figures: Figure[] = []
  for (const probe of KINDS) {
    using checker = new Child(new URL(`file://${program}`), AGENT_NODE_FLAGS)
    const order: ChecksOrder = {
      port,
      ownAddresses: false,
      probe,
      count: COUNT,
      intervalMs: 1_000,
      settleMs: 5_000,
      ms: 15_000,
    }
    figures.push(figureOf(probe.kind, (await checker.ask(order)) as ChecksResult))
  }
  return figures
}

function figureOf(kind: string, result: ChecksResult): Figure {
  const { probesPerSecond, cpu, rssMb, idleRssMb, up } = result
  const percent = Math.round(cpu * 100)
  return figure(
    `${COUNT.toLocaleString('en')} checks a second, ${kind}`,
    `${Math.round(probesPerSecond)} a second, ${percent} % of a core, ${Math.round(rssMb)} MB`,
    {
      beside: `${Math.round(idleRssMb)} MB before the first`,
      target: `all of them on one core, below ${RSS_TARGET_MB} MB`,
      met: probesPerSecond > COUNT * 0.95 && cpu < 1 && rssMb < RSS_TARGET_MB && up === COUNT,
      numbers: { ...result },
    },
  )
}
