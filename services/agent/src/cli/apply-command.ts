/**
 * `apply FILE`: break-glass. Works with API, DNS and network gone. A plain JSON state cannot be kept as
 * last-known-good (nobody signed it), so the agent is held afterwards: else its next start would undo it.
 */
import { readFile } from 'node:fs/promises'
import { hostPartSchema, type HostState } from '@lvs-fleet/contract'
import * as z from 'zod/mini'
import { EXIT, type Config } from '../config.ts'
import { takeLock } from '../disk/lock.ts'
import { openDisk, openReadOnlyDisk } from '../disk/node-disk.ts'
import { setHold } from '../hold.ts'
import { AgentError } from '../ports.ts'
import { plainCandidate, type Candidate } from '../state/candidate.ts'
import { readServices } from '../state/read-shard.ts'
import { FOLDERS } from '../state/store.ts'
import { createStatusFile } from '../status-file.ts'
import { printPlan } from './dry-run.ts'
import { openSession, type Outside, type Session } from './session.ts'

const hostStateSchema = z.strictObject({
  ...hostPartSchema.shape,
  services: z.array(z.unknown()),
})

export async function applyCommand(config: Config, outside: Outside): Promise<number> {
  const [path, ...more] = config.operands
  if (path === undefined || more.length > 0)
    throw new AgentError('apply takes one FILE', EXIT.usage)
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new AgentError(`cannot read ${path}`, EXIT.failure, { cause })
  })
  if (config.dryRun) return dryApply(config, outside, text)
  const disk = await openDisk(config.stateDir, Object.values(FOLDERS))
  const unlock = takeLock(config.stateDir)
  const kernel = await outside.openKernel()
  try {
    const session = await openSession(outside, disk, kernel)
    await session.agent.peek()
    const candidate = await candidateOf(text, config, session)
    if (candidate === 'in force') {
      await session.agent.start('operator')
    } else {
      const offer = await session.agent.accept(candidate, { ...config, source: 'file' })
      if (offer.is === 'rejected') {
        const hint =
          offer.rejection.code === 'shrink-held' ? ' (--allow-shrink to do it all the same)' : ''
        throw new AgentError(
          `${offer.rejection.code}: ${offer.rejection.detail}${hint}`,
          EXIT.refused,
        )
      }
      if (candidate.version === null || config.force) {
        await setHold(disk, `apply ${path}: ${config.reason ?? 'by hand'}`)
        outside.log(
          'warn',
          'held, so that the agent does not undo this: lvsfleet-agent release when done',
        )
      }
    }
    return await finish(outside, session)
  } finally {
    kernel.close()
    unlock()
  }
}

async function finish(outside: Outside, session: Session): Promise<number> {
  const snapshot = session.agent.snapshot()
  await createStatusFile(session.disk, outside.clock).save(snapshot)
  const { services, destinations } = snapshot.counts
  outside.print(`applied: ${services} virtual services, ${destinations} destinations\n`)
  for (const { op, code, message } of snapshot.failedOps)
    outside.print(`failed: ${op}: ${code}: ${message}\n`)
  if (snapshot.drainCount > 0) {
    outside.print(
      `${snapshot.drainCount} destinations drain: run the agent, or this again, to remove them\n`,
    )
  }
  return snapshot.failedOpCount > 0 ? EXIT.failure : EXIT.ok
}

async function dryApply(config: Config, outside: Outside, text: string): Promise<number> {
  const kernel = await outside.openKernel()
  try {
    const session = await openSession(outside, openReadOnlyDisk(config.stateDir), kernel)
    await session.agent.peek()
    const candidate = await candidateOf(text, config, session)
    return await printPlan(
      config,
      outside,
      session,
      candidate === 'in force' ? undefined : candidate,
    )
  } finally {
    kernel.close()
  }
}

async function candidateOf(
  text: string,
  config: Config,
  { agent }: Session,
): Promise<Candidate | 'in force'> {
  if (text.trimStart().startsWith('{')) return plainCandidate(parsePlain(text))
  if (config.force && config.reason === undefined) {
    throw new AgentError('--force needs --reason: why may an older state come back?', EXIT.usage)
  }
  const lines = text.split('\n')
  const verdict = await agent.verify(lines, { source: 'file', force: config.force })
  if (verdict.is === 'good') return verdict.candidate
  if (verdict.is === 'same') return 'in force'
  throw new AgentError(`${verdict.rejection.code}: ${verdict.rejection.detail}`, EXIT.refused)
}

function parsePlain(text: string): HostState {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new AgentError('unreadable: the file is not JSON', EXIT.refused, { cause })
  }
  const parsed = hostStateSchema.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw unreadable(issue?.path ?? [], issue?.message ?? '?')
  }
  const services = readServices(parsed.data.services)
  if (!services.ok) throw unreadable(['services', ...services.path], services.problem)
  return { ...parsed.data, services: services.value }
}

function unreadable(path: readonly PropertyKey[], problem: string): AgentError {
  return new AgentError(`unreadable: ${path.join('.') || '?'}: ${problem}`, EXIT.refused)
}
