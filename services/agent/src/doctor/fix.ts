/**
 * `doctor --fix`: loads modules that are missing, and makes what the state in force wants by the agent's own
 * rounds. It never invents a repair: what is not the agent's own stays with the operator.
 */
import { describeOp, type Finding } from '@lvs-fleet/contract'
import type { Session } from '../cli/session.ts'
import { takeLock } from '../disk/lock.ts'
import { holdReason } from '../hold.ts'
import { AgentError } from '../ports.ts'
import type { HostReader } from './facts/host-reader.ts'

export type FixPlan = {
  readonly modules: readonly string[]
  /** Something that a round of the agent mends. */
  readonly reconcile: boolean
}

export function planFix(findings: readonly Finding[]): FixPlan {
  const fixable = findings.filter((finding) => finding.fixable)
  const modules = fixable.flatMap(({ commands }) =>
    commands.flatMap((command) => /^modprobe ([\w-]+)$/.exec(command)?.[1] ?? []),
  )
  const rest = fixable.filter(({ check }) => check !== 'kernel-modules')
  return { modules: [...new Set(modules)], reconcile: rest.length > 0 || modules.length > 0 }
}

export type FixDeps = {
  readonly reader: HostReader
  readonly stateDir: string
  readonly print: (text: string) => void
  /** Each gives a session of its own: a plan uses its up. */
  readonly openSession: () => Promise<Session>
}

/** Carries it out and says what it did. */
export async function applyFix(plan: FixPlan, deps: FixDeps): Promise<void> {
  for (const module of plan.modules) {
    const result = await deps.reader.run(['modprobe', module])
    const how =
      result?.code === 0 ? 'loaded' : `not loaded: ${result?.output.trim() ?? 'no modprobe'}`
    deps.print(`fix: module ${module} ${how}\n`)
  }
  if (plan.reconcile) await reconcile(deps)
}

async function reconcile(deps: FixDeps): Promise<void> {
  let unlock: () => void
  try {
    unlock = takeLock(deps.stateDir)
  } catch (error) {
    if (!(error instanceof AgentError)) throw error
    deps.print('fix: an agent runs here and mends what is its own by itself; nothing done\n')
    return
  }
  try {
    const look = await deps.openSession()
    const held = await holdReason(look.disk)
    if (held !== undefined) {
      deps.print(`fix: the agent is held (${held}): lvsfleet-agent release first; nothing done\n`)
      return
    }
    await look.agent.peek()
    const { ops } = await look.agent.plan(undefined, { allowShrink: false })
    const work = await deps.openSession()
    await work.agent.peek()
    await work.agent.start('operator')
    for (const op of ops) deps.print(`fix: ${describeOp(op)}\n`)
    for (const { op, code, message } of work.agent.snapshot().failedOps) {
      deps.print(`fix failed: ${op}: ${code}: ${message}\n`)
    }
  } finally {
    unlock()
  }
}
