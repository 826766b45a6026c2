/** `run --dry-run`: the plan as text, from the control plane when it answers, else from disk. Changes nothing. */
import { describeOp } from '@lvs-fleet/contract'
import { openChain } from '../control-plane/chain.ts'
import { createControlPlane } from '../control-plane/client.ts'
import { createHttpClient } from '../control-plane/http.ts'
import { EXIT, type Config } from '../config.ts'
import { openReadOnlyDisk } from '../disk/node-disk.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { Candidate } from '../state/candidate.ts'
import { AgentError } from '../ports.ts'
import { openSession, type Outside, type Session } from './session.ts'

export async function dryRun(config: Config, outside: Outside): Promise<number> {
  const kernel = readOnly(await outside.openKernel())
  try {
    const session = await openSession(outside, openReadOnlyDisk(config.stateDir), kernel)
    await session.agent.peek()
    const published = await fetchPublished(config, outside, session)
    return await printPlan(config, outside, session, published)
  } finally {
    kernel.close()
  }
}

/** Prints what would be done; `candidate` undefined = for the state in force. */
export async function printPlan(
  config: Config,
  outside: Outside,
  session: Session,
  candidate: Candidate | undefined,
): Promise<number> {
  const { ops, conflicts, refusal } = await session.agent.plan(candidate, config)
  for (const op of ops) outside.print(`${describeOp(op)}\n`)
  for (const conflict of conflicts) outside.print(`! ${conflict.op}: ${conflict.message}\n`)
  if (refusal !== undefined) {
    outside.print(`refused: ${refusal.code}: ${refusal.detail}\n`)
    return EXIT.refused
  }
  if (ops.length === 0 && conflicts.length === 0) outside.print('no changes\n')
  return config.detailedExitCode && ops.length > 0 ? EXIT.changes : EXIT.ok
}

async function fetchPublished(
  config: Config,
  outside: Outside,
  session: Session,
): Promise<Candidate | undefined> {
  const { identity, keys, agent } = session
  if (config.api === undefined) return undefined
  const planForDisk = (why: string): undefined => {
    outside.log('warn', 'planning for the state on disk', { why })
  }
  if (identity === undefined || keys === undefined)
    return planForDisk('this host is not enrolled, and a dry run enrols nobody')
  const http = createHttpClient(config.api)
  try {
    const client = createControlPlane({
      http,
      clock: outside.clock,
      identity,
      keys,
      chain: openChain(session.disk, true),
    })
    const answer = await client.poll({ waitSeconds: 0, have: null, etag: undefined })
    if (answer.is !== 'document')
      return planForDisk(answer.is === 'refused' ? answer.detail : 'it sent no state')
    const verdict = await agent.verify(answer.lines, { source: 'control-plane' })
    if (verdict.is === 'good') return verdict.candidate
    if (verdict.is === 'same') return undefined
    throw new AgentError(
      `state rejected: ${verdict.rejection.code}: ${verdict.rejection.detail}`,
      EXIT.refused,
    )
  } finally {
    http.close()
  }
}

function readOnly(kernel: Kernel): Kernel {
  return { ...kernel, apply: () => Promise.reject(new Error('a dry run applies nothing')) }
}
