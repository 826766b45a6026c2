/**
 * Holds compiled directors against the kernel's rules. Takes host states and what is known of each director's
 * kernel; gives one problem per rule, virtual service and real server, with the director, the reason and what
 * to do. What is not known of a kernel is allowed.
 */
import {
  canonicalJson,
  serviceKey,
  type Capabilities,
  type HostState,
  type ServiceState,
} from '@lvs-fleet/contract'
import { problem, type Problem } from '../intent/problem.ts'
import { DESTINATION_RULES, SERVICE_RULES, twinOf } from './kernel-rules.ts'

/** By name of the director. */
export type KernelsKnown = ReadonlyMap<string, Capabilities>

type Director = { readonly role: string; readonly name: string; readonly state: HostState }

export function kernelProblems(hosts: Iterable<Director>, kernels: KernelsKnown): Problem[] {
  const problems: Problem[] = []
  for (const { role, name, state } of hosts) {
    if (role !== 'director') continue
    const kernel = kernels.get(name) ?? null
    const kernelText = canonicalJson(kernel)
    const seen = new Set<string>()
    for (const service of state.services) {
      for (const { rule, field, text } of findingsOf(service, kernel, kernelText)) {
        const key = `${rule} ${service.name} ${text}`
        if (seen.has(key)) continue
        seen.add(key)
        const at = { kind: 'virtual-service', name: service.name, path: [field] } as const
        problems.push(problem(at, 'kernel-refuses', `director ${name}: ${text}`))
      }
    }
  }
  return problems
}

type Finding = { readonly rule: string; readonly field: string; readonly text: string }

/** What was found of a service by a kernel of that text: most changes leave most services the very same objects. */
const examined = new WeakMap<ServiceState, { kernel: string; findings: readonly Finding[] }>()

function findingsOf(
  service: ServiceState,
  kernel: Capabilities | null,
  kernelText: string,
): readonly Finding[] {
  const held = examined.get(service)
  if (held?.kernel === kernelText) return held.findings
  const findings = examine(service, kernel)
  examined.set(service, { kernel: kernelText, findings })
  return findings
}

function examine(service: ServiceState, kernel: Capabilities | null): Finding[] {
  const findings: Finding[] = []
  for (const { id, field, wrong } of SERVICE_RULES) {
    const text = wrong(service, kernel)
    if (text !== undefined) findings.push({ rule: id, field, text })
  }
  const sayOf = (rule: string, server: string, what: string): void => {
    findings.push({ rule, field: 'pool', text: `real server ${server}: ${what}` })
  }
  for (const destination of service.destinations) {
    for (const { id, wrong } of DESTINATION_RULES) {
      const text = wrong(destination, service, kernel)
      if (text !== undefined) sayOf(id, destination.realServer, text)
    }
  }
  const twin = twinOf(service)
  if (twin !== undefined) {
    const { address, port, realServer } = twin
    const text = `${address} port ${port} is a destination of ${serviceKey(service)} twice: list it once, or on another port`
    sayOf('destination-twice', realServer, text)
  }
  return findings
}

/**
 * Problems that a change brings, apart from those that stood before it: a kernel that lost a module must not
 * stand in the way of every other change, such as the one that drains it.
 */
export function splitKernelProblems(
  before: Iterable<Director>,
  after: Iterable<Director>,
  kernels: KernelsKnown,
): { readonly problems: Problem[]; readonly warnings: Problem[] } {
  const all = kernelProblems(after, kernels)
  if (all.length === 0) return { problems: [], warnings: [] }
  const stood = new Set(kernelProblems(before, kernels).map(keyOf))
  return {
    problems: all.filter((one) => !stood.has(keyOf(one))),
    warnings: all.filter((one) => stood.has(keyOf(one))),
  }
}

function keyOf({ pointer, message }: Problem): string {
  return `${pointer} ${message}`
}
