/**
 * Runs in the guest: opens the real kernel port in the namespace of its host, does the steps that stand
 * on stdin, and prints one JSON result per step. Counters become text, `undefined` becomes null.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { execFileSync } from 'node:child_process'
import type { Op, ServiceRef } from '@lvs-fleet/contract'
import { KernelError, type Kernel } from '../../../../services/agent/src/kernel/kernel.ts'
import {
  openInspector,
  type Inspector,
} from '../../../../services/agent/src/kernel/inspect/inspector.ts'
import type { NeighbourRef } from '../../../../services/agent/src/kernel/inspect/neighbours.ts'
import { openKernel } from '../../../../services/agent/src/kernel/linux-kernel.ts'

const READS = [
  'listServices',
  'observeNetwork',
  'observeClamps',
  'observeMarks',
  'readTimeouts',
  'listSyncDaemons',
  'writeCount',
  'scope',
] as const

export type Step =
  | { readonly do: 'apply'; readonly ops: readonly Op[] }
  | {
      readonly do:
        | 'listServices'
        | 'observeNetwork'
        | 'observeGuePorts'
        | 'observeClamps'
        | 'observeSourceNats'
        | 'writeCount'
        | 'scope'
    }
  | { readonly do: (typeof READS)[number] }
  | { readonly do: 'listDestinations'; readonly services: readonly ServiceRef[] }
  | { readonly do: 'readSysctls'; readonly keys: readonly string[] }
  /** The doctor's own questions: pairs of address and MAC address, offloads by name of the interface. */
  | { readonly do: 'whoElseHas'; readonly asked: readonly NeighbourRef[] }
  | { readonly do: 'offloads' }
  /** How many calls a listener gets within `waitMs`, while `ops` and a shell command change things. */
  | {
      readonly do: 'listen'
      readonly ops: readonly Op[]
      readonly command: string
      readonly waitMs: number
    }

const steps = JSON.parse(readFileSync(0, 'utf8')) as readonly Step[]
try {
  const kernel = await openKernel()
  const results: unknown[] = []
  for (const step of steps) results.push(await perform(kernel, step))
  kernel.close()
  process.stdout.write(JSON.stringify(results, plain))
} catch (error) {
  if (!(error instanceof KernelError)) throw error
  process.stdout.write(JSON.stringify({ code: error.code, message: error.message }))
}

async function perform(kernel: Kernel, step: Step): Promise<unknown> {
  switch (step.do) {
    case 'apply':
      return (await kernel.apply(step.ops)).map((outcome) =>
        outcome.ok ? null : { code: outcome.code, message: outcome.message },
      )
    case 'listDestinations':
      return kernel.listDestinations(step.services)
    case 'readSysctls':
      return Object.fromEntries(await kernel.readSysctls(step.keys))
    case 'whoElseHas':
      return [...(await inspect((inspector) => inspector.whoElseHas(step.asked)))]
    case 'offloads': {
      const offloads = await inspect((inspector) => inspector.offloads())
      const { links } = await kernel.observeNetwork()
      return links.map(({ index, name }) => [name, [...(offloads?.get(index) ?? [])]])
    }
    case 'listen': {
      let calls = 0
      const leave = kernel.onNetworkChange(() => calls++)
      await kernel.apply(step.ops)
      if (step.command !== '') execFileSync('/bin/sh', ['-c', step.command])
      await sleep(step.waitMs)
      leave()
      return calls
    }
    case 'listServices':
    case 'observeNetwork':
    case 'observeGuePorts':
    case 'observeClamps':
    case 'observeMarks':
    case 'readTimeouts':
    case 'listSyncDaemons':
    case 'observeSourceNats':
    case 'writeCount':
    case 'scope':
      return kernel[step.do]()
    default:
      return step satisfies never
  }
}

async function inspect<T>(ask: (inspector: Inspector) => Promise<T>): Promise<T> {
  const inspector = openInspector()
  try {
    return await ask(inspector)
  } finally {
    inspector.close()
  }
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value
}
