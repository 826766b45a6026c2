/** The kernel's virtual services against the state: what a round would still have to do, and may not do. */
import { describeOp } from '@lvs-fleet/contract'
import type { Check, Found } from '../check.ts'

const OPS_SHOWN = 3

export const kernelTable: Check = {
  id: 'kernel-table',
  title: 'virtual services and destinations are as the state says',
  examine: ({ state }) => {
    const ops = (state.pending?.ops ?? []).filter(
      ({ kind }) => kind.startsWith('service.') || kind.startsWith('destination.'),
    )
    const conflicts = (state.pending?.conflicts ?? []).map(({ op, message }): Found => ({
      severity: 'risk',
      object: op,
      found: message,
      wanted: 'made by the agent, or adopted',
      why: 'the agent never changes what it did not make',
      symptom: 'the object is not as the intent says',
      commands: ['# set adopt: true for this host in the intent, or remove the object by hand'],
      fixable: false,
    }))
    if (ops.length === 0) return conflicts
    const shown = ops.slice(0, OPS_SHOWN).map(describeOp).join('; ')
    const more = ops.length > OPS_SHOWN ? `; and ${ops.length - OPS_SHOWN} more` : ''
    return [
      {
        severity: 'broken',
        object: 'IPVS table',
        found: `${ops.length} differences, to be mended by: ${shown}${more}`,
        wanted: 'the state in force',
        why: 'no agent runs, or it cannot write',
        symptom: 'VIPs that do not answer, wrong weights',
        commands: ['systemctl start lvsfleet-agent', 'lvsfleet-agent run --dry-run'],
        fixable: true,
      },
      ...conflicts,
    ]
  },
}
