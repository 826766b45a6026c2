/** IPVS itself, schedulers and tunnel kinds that the state in force needs and this kernel has not. */
import { destinationKey, familyOf, serviceKey } from '@lvs-fleet/contract'
import type { Check, Found, Patient } from '../check.ts'

export const kernelModules: Check = {
  id: 'kernel-modules',
  title: 'IPVS, its schedulers and tunnel types are there',
  examine: (patient) => [...ipvs(patient), ...features(patient), ...devices(patient)],
}

const LOAD = (module: string): string[] => [
  `modprobe ${module}`,
  `echo ${module} > /etc/modules-load.d/${module}.conf`,
]

function ipvs({ facts, state }: Patient): Found[] {
  if (state.services.length === 0 || facts.services !== null) return []
  return [
    {
      severity: 'broken',
      object: 'module ip_vs',
      found: facts.ipvsError ?? 'IPVS does not answer',
      wanted: 'ip_vs loaded',
      why: 'without it this host balances nothing',
      symptom: 'every connection to every VIP is refused or answered by the director itself',
      commands: LOAD('ip_vs'),
      fixable: true,
    },
  ]
}

function features({ facts, state }: Patient): Found[] {
  const known = facts.capabilities
  if (known === null || known.ipvs !== 'yes') return []
  const found = new Map<string, Found>()
  for (const service of state.services) {
    const { scheduler } = service
    if (known.schedulers[scheduler] === 'no' && !found.has(scheduler)) {
      found.set(scheduler, {
        severity: 'broken',
        object: `scheduler ${scheduler}`,
        found: `this kernel (${known.kernelRelease}) has no scheduler ${scheduler}`,
        wanted: `module ip_vs_${scheduler}, for ${serviceKey(service)}`,
        why: 'the kernel refuses the virtual service with ENOENT',
        symptom: 'the VIP does not answer',
        commands: [...LOAD(`ip_vs_${scheduler}`), '# or choose another scheduler in the intent'],
        fixable: true,
      })
    }
    for (const destination of service.destinations) {
      if (destination.forwarding.method !== 'tun') continue
      const { type } = destination.forwarding.tunnel
      if (known.tunnels[type] !== 'no' || found.has(`tun ${type}`)) continue
      found.set(`tun ${type}`, {
        severity: 'broken',
        object: `tunnel type ${type}`,
        found: `IPVS of this kernel (${known.kernelRelease}) cannot tunnel by ${type}`,
        wanted: `${type}, for ${serviceKey(service)} > ${destinationKey(destination)}`,
        why: 'GUE came with Linux 5.2, GRE with 5.3; older kernels make an IPIP destination of it',
        symptom: 'the share of clients that this real server would serve hangs or is refused',
        commands: ['# upgrade the kernel, or let the real server decapsulate ipip'],
        fixable: false,
      })
    }
  }
  return [...found.values()]
}

const MODULES = {
  ipip: 'ipip',
  sit: 'sit',
  ip6tnl: 'ip6_tunnel',
  gre: 'ip_gre',
  ip6gre: 'ip6_gre',
  fou: 'fou',
  fou6: 'fou6',
} as const

function devices({ facts, state }: Patient): Found[] {
  const kinds = new Set<keyof typeof MODULES>()
  for (const { kind } of state.host.devices) if (kind !== 'dummy') kinds.add(kind)
  for (const { address } of state.host.guePorts) {
    kinds.add(familyOf(address) === 'ipv4' ? 'fou' : 'fou6')
  }
  return [...kinds].flatMap((kind): Found[] => {
    if (facts.capabilities?.decapsulation[kind] !== 'no') return []
    const module = MODULES[kind]
    return [
      {
        severity: 'broken',
        object: kind.startsWith('fou') ? `GUE ports (${kind})` : `device kind ${kind}`,
        found: `this kernel (${facts.capabilities.kernelRelease}) makes none`,
        wanted: `module ${module}`,
        why: 'tunnelled packets of the directors are not unpacked',
        symptom: 'the share of clients that this real server would serve is refused',
        commands: LOAD(module),
        fixable: true,
      },
    ]
  })
}
