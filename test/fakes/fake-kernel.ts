/**
 * A kernel that behaves: same keys, same refusals, dumps newest first, objects of other people, hand edits,
 * faults on demand, death after N writes. Tests read it back as text, as an operator would with ipvsadm -Sn.
 */
import { describeOp, serviceKey, serviceRef, type Op } from '@lvs-fleet/contract'
import {
  KernelError,
  type Kernel,
  type ObservedDestination,
  type Outcome,
  type TrafficStats,
} from '../../services/agent/src/kernel/kernel.ts'
import { describeKernel } from './describe-kernel.ts'
import { isIpvsOp, performIpvs } from './fake-ipvs.ts'
import { performNetwork } from './fake-network.ts'
import {
  clearTables,
  createTables,
  type FakeDestination,
  type Failure,
  type KernelTables,
} from './kernel-tables.ts'

const NO_STATS: TrafficStats = {
  connections: 0n,
  inPackets: 0n,
  outPackets: 0n,
  inBytes: 0n,
  outBytes: 0n,
}

/** The process died in the middle of an effect: everything it tries afterwards dies too. */
export class Crash extends Error {
  override readonly name = 'Crash'
}

/** Undefined = the op goes through to the fake. */
export type Fault = (op: Op) => Failure | undefined

export type FakeKernel = Kernel &
  KernelTables & {
    /** Ops that changed something, as text, in order. */
    readonly journal: string[]
    readonly calls: {
      listServices: number
      listDestinations: number
      destinationsListedFor: number
      apply: number
    }
    fault: Fault | undefined
    /** Reads throw this while it is set. */
    readFault: KernelError | undefined
    /** Called after each op that was carried out; throws Crash to die there. */
    afterOp: ((op: Op) => void) | undefined
    /** Called before each op: a place for other people to meddle, or to die. */
    beforeOp: ((op: Op) => void) | undefined
    /** Changes of others; announced like the kernel does. */
    byHand(op: Op): void
    setConnections(
      service: string,
      destination: string,
      active: number,
      inactive?: number,
      persistent?: number,
    ): void
    /** A reboot: everything is gone, and so is the scope. */
    reboot(): void
    usable(service: string): number
    describe(): string
  }

export function createFakeKernel(options: { readonly scope?: string } = {}): FakeKernel {
  const listeners = new Set<() => void>()
  let scope = options.scope ?? 'boot-1/net-1'
  let writes = 0

  const perform = (op: Op): Failure | undefined =>
    isIpvsOp(op) ? performIpvs(kernel, op) : performNetwork(kernel, op)

  const observe = (destination: FakeDestination): ObservedDestination => ({
    address: destination.address,
    port: destination.port,
    ...destination.config,
    exact: destination.exact,
    activeConnections: destination.active,
    inactiveConnections: destination.inactive,
    persistentConnections: destination.persistent,
    stats: NO_STATS,
  })

  const read = async <T>(answer: () => T): Promise<T> => {
    if (kernel.readFault !== undefined) throw kernel.readFault
    return answer()
  }

  const kernel: FakeKernel = {
    ...createTables(),
    journal: [],
    calls: { listServices: 0, listDestinations: 0, destinationsListedFor: 0, apply: 0 },
    fault: undefined,
    readFault: undefined,
    afterOp: undefined,
    beforeOp: undefined,
    listServices: () =>
      read(() => {
        kernel.calls.listServices++
        const list = [...kernel.services.values()].toReversed()
        return {
          services: list.map((service) => ({
            ...serviceRef(service),
            ...service.config,
            exact: service.exact,
            stats: NO_STATS,
          })),
          unnamedCount: 0,
        }
      }),
    listDestinations: (refs) =>
      read(() => {
        kernel.calls.listDestinations++
        kernel.calls.destinationsListedFor += refs.length
        return refs.map((ref) => {
          const service = kernel.services.get(serviceKey(ref))
          return service && [...service.destinations.values()].toReversed().map(observe)
        })
      }),
    observeNetwork: () =>
      read(() => ({ links: [...kernel.links.values()], addresses: [...kernel.addresses] })),
    readSysctls: (keys) => read(() => new Map(keys.map((key) => [key, kernel.sysctls.get(key)]))),
    observeGuePorts: () => read(() => [...kernel.guePorts.values()]),
    observeClamps: () => read(() => [...kernel.clamps.values()]),
    observeMarks: () => read(() => [...kernel.marks.values()]),
    readTimeouts: () => read(() => kernel.timeouts),
    listSyncDaemons: () => read(() => [...kernel.syncDaemons.values()]),
    observeSourceNats: () => read(() => [...kernel.sourceNats.values()]),
    async apply(ops) {
      kernel.calls.apply++
      const outcomes: Outcome[] = []
      for (const op of ops) {
        kernel.beforeOp?.(op)
        writes++
        const failure = kernel.fault?.(op) ?? perform(op)
        if (failure === undefined) kernel.journal.push(describeOp(op))
        outcomes.push(failure === undefined ? { op, ok: true } : { op, ok: false, ...failure })
        kernel.afterOp?.(op)
      }
      return outcomes
    },
    onNetworkChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    scope: async () => scope,
    writeCount: () => writes,
    close: () => undefined,
    byHand(op) {
      const failure = perform(op)
      if (failure !== undefined)
        throw new KernelError(describeOp(op), failure.code, failure.message)
      if (op.kind.startsWith('device') || op.kind.startsWith('address'))
        for (const listener of listeners) listener()
    },
    setConnections(service, destination, active, inactive = 0, persistent = 0) {
      const found = kernel.services.get(service)?.destinations.get(destination)
      if (found === undefined) throw new Error(`no ${service} > ${destination}`)
      found.active = active
      found.inactive = inactive
      found.persistent = persistent
    },
    reboot() {
      clearTables(kernel)
      scope = `${scope}+`
    },
    usable(service) {
      const destinations = kernel.services.get(service)?.destinations.values() ?? []
      return [...destinations].filter((destination) => destination.config.weight > 0).length
    },
    describe: () => describeKernel(kernel),
  }
  return kernel
}
