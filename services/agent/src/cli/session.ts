/** What the commands share: the state directory, the identity, and an agent on top of a kernel. */
import type { EnrolAnswer } from '@lvs-fleet/contract'
import { Agent } from '../agent.ts'
import type { AwsPart } from '../aws/aws-part.ts'
import { enrol, type WayIn } from '../control-plane/enrol.ts'
import { createHttpClient } from '../control-plane/http.ts'
import { openHostKeys, type HostKeys } from '../control-plane/host-keys.ts'
import { loadIdentity } from '../control-plane/identity.ts'
import { loadCounters, type Counters } from '../control-plane/reporter.ts'
import { openTrust, type LiveTrust } from '../control-plane/trust.ts'
import { EXIT, type Config } from '../config.ts'
import type { DoctorPorts } from '../doctor/ports.ts'
import type { HostHealth } from '../health/host-health.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { PathSockets } from '../kernel/path/path-sockets.ts'
import { AgentError, type Clock, type Disk, type Log, type Random } from '../ports.ts'
import type { HostFacts } from '../report.ts'
import { createStateStore } from '../state/store.ts'
import { addressTowards, readHostFacts, readMachineId } from '../system.ts'

/** The outside world as main.ts gives it, and tests theirs. */
export type Outside = {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Results go to stdout, nothing else does. */
  readonly print: (text: string) => void
  readonly openKernel: () => Promise<Kernel>
  /** Absent where nobody looks: no checks, nothing known of the kernel. */
  readonly doctor?: DoctorPorts
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
  const facts = await readHostFacts()
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

/** Enrols with what the command line gives; refuses with what is missing. */
export async function enrolNow(config: Config, outside: Outside, disk: Disk): Promise<EnrolAnswer> {
  const { api, role, name } = config
  if (api === undefined) throw missing('--api', 'the control plane')
  const way = await wayIn(config, outside)
  const http = createHttpClient(api)
  try {
    const machineId = await readMachineId()
    const addresses =
      config.addresses.length > 0 ? config.addresses : await addressTowards(api.hostname)
    const identity = await enrol(
      { ...outside, http, disk },
      { way, role, name, addresses, machineId },
    )
    outside.log('info', 'enrolled', {
      host: identity.hostId,
      name: identity.name,
      site: identity.site,
    })
    return identity
  } finally {
    http.close()
  }
}

async function wayIn(config: Config, { aws }: Outside): Promise<WayIn> {
  if (config.join === 'key') return { by: 'key' }
  if (config.join === 'aws') {
    const part = await needAws(aws)
    const region = config.awsRegion ?? (await part.instanceRegion())
    return { by: 'aws', sign: (given) => part.signAwsIdentity({ ...given, region }) }
  }
  const token = await config.readToken()
  if (token !== undefined) return { by: 'token', token }
  if (config.tokenSsm === undefined)
    throw missing('--token-file', 'a join token, or --token-ssm, or --join')
  const part = await needAws(aws)
  const region = config.awsRegion ?? (await part.instanceRegion())
  const found = await part.readParameter(config.tokenSsm, region)
  if (found !== undefined) return { by: 'token', token: found.trim() }
  throw new AgentError(`there is no parameter ${config.tokenSsm} in Parameter Store`, EXIT.usage)
}

/** What fails there is the world's doing, and one line for the operator. */
async function needAws(load: Outside['aws']): Promise<AwsPart> {
  if (load === undefined) throw new AgentError('this agent has no part for AWS')
  const part = await load()
  const told = <T>(what: string, work: Promise<T>) =>
    work.catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new AgentError(`${what}: ${why}`, EXIT.failure, { cause })
    })
  return {
    signAwsIdentity: (given) => told("this host's AWS identity", part.signAwsIdentity(given)),
    readParameter: (name, region) => told(`parameter ${name}`, part.readParameter(name, region)),
    instanceRegion: () => told('AWS region', part.instanceRegion()),
  }
}

export function warnIfPlain(api: URL, log: Log): void {
  if (api.protocol === 'https:') return
  log('warn', 'the control plane is reached without TLS: anybody on the path can read and enrol', {
    api: api.origin,
  })
}

function missing(option: string, what: string): AgentError {
  return new AgentError(
    `this host is not enrolled, and ${option} (${what}) is not given`,
    EXIT.usage,
  )
}
