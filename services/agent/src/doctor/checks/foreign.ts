/** Others who manage IPVS on this host: their programs, and virtual services that nobody here made. */
import { serviceKey } from '@lvs-fleet/contract'
import type { Check, Found } from '../check.ts'

const NAMES_SHOWN = 5

export const foreignManager: Check = {
  id: 'foreign-manager',
  title: 'nobody else manages IPVS here',
  examine: ({ facts, state }) => {
    const wanted = new Set(state.services.map(serviceKey))
    const foreign = (facts.services ?? [])
      .map(serviceKey)
      .filter((key) => !wanted.has(key) && !state.ownedServices.has(key))
    const shown = foreign.slice(0, NAMES_SHOWN).join(', ')
    const more = foreign.length > NAMES_SHOWN ? ` and ${foreign.length - NAMES_SHOWN} more` : ''
    const services =
      foreign.length === 0
        ? ''
        : `; ${foreign.length} virtual services are not the fleet's: ${shown}${more}`
    const programs = facts.managers.map(({ name, pid }): Found => ({
      severity: 'risk',
      object: `process ${name}`,
      found: `runs as ${pid} in this network namespace${services}`,
      wanted: 'one manager of IPVS for each host',
      why: 'both write the same table: weights and virtual services change behind each other',
      symptom: 'drift that comes back, weights that jump, VIPs that vanish',
      commands: [
        `systemctl disable --now ${name}`,
        '# or move its virtual services into the intent and set adopt: true',
      ],
      fixable: false,
    }))
    if (programs.length > 0 || foreign.length === 0) return programs
    return [
      {
        severity: 'info',
        object: `${foreign.length} virtual services`,
        found: `not the fleet's: ${shown}${more}`,
        wanted: 'in the intent, or gone',
        why: 'the agent never touches what it did not make; nobody else manages these either',
        symptom: 'none, as long as they are meant',
        commands: [
          'ipvsadm -Ln',
          '# add them to the intent with adopt: true, or remove them by hand',
        ],
        fixable: false,
      },
    ]
  },
}
