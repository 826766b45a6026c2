/** The agent's state in force as the checks see it. */
import { isProbe } from '@lvs-fleet/contract'
import type { Agent } from '../agent.ts'
import type { InForceView } from './check.ts'

export function viewOf(agent: Agent): Omit<InForceView, 'pending'> {
  const { inForce, ledger } = agent.inForce
  return {
    source: inForce.source,
    host: inForce.host,
    services: [...inForce.services.values()].filter((service) => !isProbe(service)),
    ownedServices: new Set(ledger.services.keys()),
  }
}
