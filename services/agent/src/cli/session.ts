/** What the commands share: the state directory, the identity, and an agent on top of a kernel. */
import type { EnrolAnswer } from '@lvs-fleet/contract'
import { Agent } from '../agent.ts'
import type { AwsPart } from '../aws/aws-part.ts'
import { openHostKeys, type HostKeys } from '../control-plane/host-keys.ts'
import { loadIdentity } from '../control-plane/identity.ts'
import { loadCounters, type Counters } from '../control-plane/counters.ts'
import { openTrust, type LiveTrust } from '../control-plane/trust.ts'
import type { DoctorPorts } from '../doctor/ports.ts'
import type { HostHealth } from '../health/host-health.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { PathSockets } from '../kernel/path/path-sockets.ts'
import type { Clock, Disk, Log, Random } from '../ports.ts'
import type { HostFacts } from '../report.ts'
import { createStateStore } from '../state/store.ts'
import { readHostFacts } from '../system.ts'

/** The outside world as main.ts gives it, and tests theirs. */
export type Outside = {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Results go to stdout, nothing else does. */
  readonly print: (text: string) => void
  readonly openKernel: () => Promise<Kernel>
  /** Absent where nobody looks: no checks, nothing known of the kernel. */
  readonly openDoctor?: () => Promise<DoctorPorts>
  /** Absent where no path is measured. */
  readonly openPathSockets?: () => Promise<PathSockets>
  /** What needs the AWS SDK, loaded when it is needed. */
  readonly aws?: () => Promise<AwsPart>
  readonly signal: AbortSignal
}

export type Session = {
  readonly agent: Agent
  readonly disk: Disk
  readonly identity: EnrolAnswer | undefined
  readonly trust: LiveTrust | undefined
  readonly keys: HostKeys | undefined
  readonly counters: Counters
  /** What the agent tells of its host; the doctor fills in what it finds. */
  readonly facts: HostFacts
}

export async function openSession(
  outside: Outside,
  disk: Disk,
  kernel: Kernel,
  health?: HostHealth,
): Promise<Session> {
  const identity = await loadIdentity(disk)
  const trust = identity === undefined ? undefined : openTrust({ identity, disk, log: outside.log })
  const counters = await loadCounters(disk)
  const facts = readHostFacts()
  const agent = await Agent.open({
    kernel,
    disk,
    clock: outside.clock,
    log: outside.log,
    facts,
    trust: trust?.wire,
    store: trust === undefined ? undefined : createStateStore(disk, trust.disk),
    driftCount: counters.driftCount,
    ...(health === undefined ? {} : { health, onState: health.onState }),
  })
  return { agent, disk, identity, trust, keys: await openHostKeys(disk), counters, facts }
}
