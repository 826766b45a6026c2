/**
 * Rules within one virtual service that its schema cannot see: flags that a scheduler does not read, combinations
 * that the kernel takes and then does not keep, ports next to a firewall mark. Pure.
 */
import { PROBE_MARKS, type Scheduler, type ServiceFlag } from '@lvs-fleet/contract'
import type { VirtualServiceSpec } from './kinds.ts'
import { problem, type Problem } from './problem.ts'

/**
 * Flags that a scheduler reads: IP_VS_SVC_F_SCHED_SH_* in ip_vs_sh.c, IP_VS_SVC_F_SCHED_MH_* in ip_vs_mh.c
 * (Linux 6.1). Any other one keeps them and does nothing with them.
 */
const SCHEDULER_FLAGS: Partial<Record<Scheduler, readonly ServiceFlag[]>> = {
  sh: ['fallback', 'port'],
  mh: ['fallback', 'port'],
}

/** False for a flag that the kernel keeps and this scheduler does not look at. */
export function readsFlag(scheduler: Scheduler, flag: ServiceFlag): boolean {
  return flag === 'one-packet' || (SCHEDULER_FLAGS[scheduler] ?? []).includes(flag)
}

/** Marks of port ranges lie here; see compile/listeners.ts. */
export const LISTENER_MARKS = { from: 0x4c00_0000, to: 0x4cff_ffff } as const
/** All marks that LVS Fleet chooses itself: those, and those of paths behind them. */
const RESERVED_MARKS = { from: LISTENER_MARKS.from, to: PROBE_MARKS.to } as const

export function serviceRules(service: VirtualServiceSpec): Problem[] {
  return [...flagRules(service), ...engineRules(service), ...portRules(service)]
}

function flagRules(service: VirtualServiceSpec): Problem[] {
  const problems: Problem[] = []
  const at = { kind: 'virtual-service', name: service.name, path: ['flags'] } as const
  // ip_vs_sched_persist never looks at the flag, and only UDP packets do (ip_vs_schedule).
  if (service.flags.includes('one-packet')) {
    if (service.protocol !== 'udp') {
      problems.push(problem(at, 'flag-conflict', 'one-packet scheduling is for UDP only'))
    }
    if (service.persistence !== null) {
      problems.push(problem(at, 'flag-conflict', 'one-packet scheduling excludes persistence'))
    }
  }
  for (const flag of service.flags) {
    if (readsFlag(service.scheduler, flag)) continue
    const text = `flag ${flag} belongs to schedulers sh and mh; ${service.scheduler} would ignore it`
    problems.push(problem(at, 'flag-conflict', text))
  }
  return problems
}

/** ip_vs_sip_fill_param answers EINVAL to anything but UDP, and ip_vs_sched_persist then drops the packet; measured on 6.1. */
function engineRules(service: VirtualServiceSpec): Problem[] {
  const engine = service.persistence?.engine ?? null
  if (engine === null || service.protocol === 'udp') return []
  const at = {
    kind: 'virtual-service',
    name: service.name,
    path: ['persistence', 'engine'],
  } as const
  const text = `${engine} reads UDP packets only; the kernel would drop every packet of ${service.protocol}: set protocol to udp, or leave it out`
  return [problem(at, 'engine-protocol', text)]
}

function portRules(service: VirtualServiceSpec): Problem[] {
  const { name, ports, firewallMark } = service
  const at = { kind: 'virtual-service', name } as const
  const onPorts = { ...at, path: ['ports'] }
  const problems: Problem[] = []
  if (firewallMark === null) {
    if (ports.length === 0) {
      const text = 'needs at least one port, or the virtual service a firewallMark'
      problems.push(problem(onPorts, 'ports', text))
    }
    return problems
  }
  if (ports.length > 0) {
    const text =
      'stand next to a firewallMark: who marks the packets chooses their ports, so leave one of the two out'
    problems.push(problem(onPorts, 'ports', text))
  }
  if (firewallMark >= RESERVED_MARKS.from && firewallMark <= RESERVED_MARKS.to) {
    const text = `${firewallMark} is one of those that LVS Fleet chooses (${RESERVED_MARKS.from} to ${RESERVED_MARKS.to}): take another one`
    problems.push(problem({ ...at, path: ['firewallMark'] }, 'mark-reserved', text))
  }
  return problems
}
