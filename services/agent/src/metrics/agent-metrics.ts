/** Reads what the kernel counts for our virtual services, and puts it beside the agent's own state, for each scrape anew. */
import { expositionOf, isProbe, serviceKey } from '@lvs-fleet/contract'
import type { Kernel } from '../kernel/kernel.ts'
import type { Snapshot } from '../report.ts'
import type { InForce } from '../state/candidate.ts'
import { stateFamilies, trafficFamilies, type MeasuredService } from './families.ts'

/** Virtual services whose destinations are read: each is a dump of its own, and the kernel does not wait for us gladly. */
const SERVICES_MAX = 1_000

export type MetricsSource = {
  readonly kernel: Pick<Kernel, 'listServices' | 'listDestinations'>
  readonly agent: {
    readonly inForce: { readonly inForce: Pick<InForce, 'services'> }
    snapshot(): Snapshot
  }
}

export async function agentMetrics({ kernel, agent }: MetricsSource): Promise<string> {
  const { services: ours } = agent.inForce.inForce
  const { services } = await kernel.listServices()
  const found = services.flatMap((observed) => {
    const state = ours.get(serviceKey(observed))
    return state === undefined || isProbe(state) ? [] : [{ state, observed }]
  })
  const asked = found.slice(0, SERVICES_MAX)
  const lists = await kernel.listDestinations(asked.map(({ observed }) => observed))
  const measured = found.map((one, i): MeasuredService => ({ ...one, destinations: lists[i] }))
  return expositionOf([...stateFamilies(agent.snapshot()), ...trafficFamilies(measured)])
}
