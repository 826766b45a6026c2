/**
 * `doctor`: every check on this host, with or without a control plane and a running agent. Prints findings, as
 * text or JSON; with --fix does what is safe and looks again. The exit code says how ill the host is.
 */
import type { Finding } from '@lvs-fleet/contract'
import { findCapabilities } from '../capabilities/capability-cache.ts'
import { EXIT, type Config } from '../config.ts'
import { createHttpClient } from '../control-plane/http.ts'
import { openReadOnlyDisk, openDisk } from '../disk/node-disk.ts'
import { ALL_CHECKS } from '../doctor/all-checks.ts'
import { examine, type Check, type InForceView } from '../doctor/check.ts'
import { collectFacts } from '../doctor/facts/collect.ts'
import { applyFix, planFix } from '../doctor/fix.ts'
import { formatFindings } from '../doctor/format.ts'
import type { DoctorPorts } from '../doctor/ports.ts'
import { viewOf } from '../doctor/view.ts'
import { KernelError, type Kernel } from '../kernel/kernel.ts'
import { AgentError } from '../ports.ts'
import { loadStatus } from '../load-status.ts'
import { readHostFacts } from '../system.ts'
import { openSession, type Outside } from './session.ts'

const API_TIMEOUT_MS = 3_000

export async function doctorCommand(config: Config, outside: Outside): Promise<number> {
  const checks = chooseChecks(config.only)
  if (config.list) {
    for (const { id, title } of checks) outside.print(`${id.padEnd(22)}${title}\n`)
    return EXIT.ok
  }
  const doctor = await outside.openDoctor?.()
  if (doctor === undefined) throw new AgentError('this agent was built without its doctor')
  const kernel = await outside.openKernel()
  try {
    const look = () => examineHost(config, outside, { kernel, doctor, checks })
    let findings = await look()
    if (config.fix && findings.some(({ fixable }) => fixable)) {
      const print = config.json ? (text: string) => outside.log('info', text.trim()) : outside.print
      await applyFix(planFix(findings), {
        reader: doctor.reader,
        stateDir: config.stateDir,
        print,
        openSession: async () => openSession(outside, await openDisk(config.stateDir), kernel),
      })
      findings = await look()
    }
    outside.print(
      config.json
        ? `${JSON.stringify({ findings }, null, 2)}\n`
        : formatFindings(findings, checks.length),
    )
    return exitCodeOf(findings)
  } finally {
    kernel.close()
  }
}

function chooseChecks(only: readonly string[]): readonly Check[] {
  for (const name of only) {
    if (ALL_CHECKS.some(({ id }) => id === name)) continue
    throw new AgentError(
      `--only: there is no check ${JSON.stringify(name)}: see lvsfleet-agent doctor --list`,
      EXIT.usage,
    )
  }
  return only.length === 0 ? ALL_CHECKS : ALL_CHECKS.filter(({ id }) => only.includes(id))
}

async function examineHost(
  config: Config,
  outside: Outside,
  parts: { kernel: Kernel; doctor: DoctorPorts; checks: readonly Check[] },
): Promise<Finding[]> {
  const { kernel, doctor, checks } = parts
  const disk = openReadOnlyDisk(config.stateDir)
  const { agent } = await openSession(outside, disk, kernel)
  await agent.peek()
  const state = viewOf(agent)
  const hostFacts = readHostFacts()
  // A read-only disk keeps no answer of a probe; that is no news to anybody.
  const capabilities = await findCapabilities(
    disk,
    hostFacts,
    () => doctor.probe(outside.signal),
    () => undefined,
  )
  const inspector = await doctor.openInspector()
  try {
    const facts = await collectFacts(
      { kernel, inspector, reader: doctor.reader, stateDir: config.stateDir },
      state,
      {
        depth: 'full',
        capabilities,
        clockSkewSeconds: await askClock(config, outside),
        paths: (await loadStatus(disk))?.snapshot.paths ?? null,
      },
    )
    const pending = await planPending(agent)
    return examine(checks, { facts, state: { ...state, pending } })
  } finally {
    inspector.close()
  }
}

/** What a round would do; null where the kernel cannot be asked, which other checks tell. */
async function planPending(agent: {
  plan: (
    candidate: undefined,
    options: { allowShrink: boolean },
  ) => Promise<NonNullable<InForceView['pending']>>
}): Promise<InForceView['pending']> {
  try {
    const { ops, conflicts } = await agent.plan(undefined, { allowShrink: false })
    return { ops, conflicts }
  } catch (error) {
    if (error instanceof KernelError) return null
    throw error
  }
}

/** Any answer has a Date; nobody to ask, or no answer, says nothing. */
async function askClock(config: Config, { clock }: Outside): Promise<number | null> {
  if (config.api === undefined) return null
  const http = createHttpClient(config.api)
  try {
    const before = clock.wallMs()
    const answer = await http.request({
      method: 'GET',
      path: '/healthz',
      timeoutMs: API_TIMEOUT_MS,
    })
    answer.discard()
    const here = (before + clock.wallMs()) / 2
    const there = Date.parse(answer.headers.date ?? '')
    return Number.isNaN(there) ? null : (here - there) / 1_000
  } catch {
    return null
  } finally {
    http.close()
  }
}

function exitCodeOf(findings: readonly Finding[]): number {
  if (findings.some(({ severity }) => severity === 'broken')) return EXIT.broken
  return findings.some(({ severity }) => severity === 'risk') ? EXIT.risk : EXIT.ok
}
