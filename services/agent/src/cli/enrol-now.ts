/** How a host becomes one of the fleet, by the way in that its command line gives. */
import type { EnrolAnswer } from '@lvs-fleet/contract'
import { EXIT, type Config } from '../config.ts'
import { enrol, type WayIn } from '../control-plane/enrol.ts'
import { createHttpClient } from '../control-plane/http.ts'
import type { AwsPart } from '../aws/aws-part.ts'
import { AgentError, type Disk, type Log } from '../ports.ts'
import { addressTowards, readMachineId } from '../system.ts'
import type { Outside } from './session.ts'

/** Enrols with what the command line gives; refuses with what is missing. */
export async function enrolNow(config: Config, outside: Outside, disk: Disk): Promise<EnrolAnswer> {
  const { api, role, name } = config
  if (api === undefined) throw missing('--api', 'the control plane')
  const way = await wayIn(config, outside)
  const http = createHttpClient(api)
  try {
    const machineId = readMachineId()
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
  const token = config.readToken()
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
