/**
 * AWS Systems Manager Parameter Store, always as SecureString: the one place that speaks to it. By full names for the
 * settings of a function, and below one prefix as a SecretStore. Credentials and endpoint are what the SDK's environment
 * says, and the region where none is given.
 */
import {
  DeleteParameterCommand,
  GetParameterCommand,
  ParameterAlreadyExists,
  ParameterNotFound,
  PutParameterCommand,
  SSMClient,
} from '@aws-sdk/client-ssm'
import { SECRET_NAME, secretProblem, type SecretStore } from './secret.ts'

/** Of one call with its retries. */
const TIMEOUT_MS = 10_000
const ATTEMPTS = 3

export type Parameters = {
  /** undefined when there is no such parameter. */
  readonly read: (name: string) => Promise<string | undefined>
  /** Never overwrites: whoever comes second is told so, because a signing key that is replaced locks every agent out. */
  readonly create: (name: string, value: string) => Promise<void>
  readonly replace: (name: string, value: string) => Promise<void>
  /** Of one that is not there: done. */
  readonly remove: (name: string) => Promise<void>
}

export function openParameters(region?: string): Parameters {
  const client = new SSMClient({
    maxAttempts: ATTEMPTS,
    ...(region === undefined ? {} : { region }),
  })
  const bounded = () => ({ abortSignal: AbortSignal.timeout(TIMEOUT_MS) })
  const write = (name: string, value: string, Overwrite: boolean) =>
    told(
      name,
      'written',
      client.send(
        new PutParameterCommand({ Name: name, Value: value, Type: 'SecureString', Overwrite }),
        bounded(),
      ),
    )
  return {
    async read(name) {
      const command = new GetParameterCommand({ Name: name, WithDecryption: true })
      return (await told(name, 'read', unlessAbsent(client.send(command, bounded()))))?.Parameter
        ?.Value
    },
    async create(name, value) {
      await write(name, value, false)
    },
    async replace(name, value) {
      await write(name, value, true)
    },
    async remove(name) {
      const command = new DeleteParameterCommand({ Name: name })
      await told(name, 'deleted', unlessAbsent(client.send(command, bounded())))
    },
  }
}

/** Below one prefix, under the names that every store of secrets takes. */
export function secretsBelow(prefix: string, parameters: Parameters): SecretStore {
  const nameOf = (name: string): string => {
    if (!SECRET_NAME.test(name)) throw new Error(`${JSON.stringify(name)} is no name of a secret`)
    return `${prefix.replace(/\/$/, '')}/${name}`
  }
  return {
    get: async (name) => parameters.read(nameOf(name)),
    async put(name, value) {
      const problem = secretProblem(name, value)
      if (problem !== undefined) throw new Error(problem)
      await parameters.replace(nameOf(name), value)
    },
    delete: async (name) => parameters.remove(nameOf(name)),
  }
}

function unlessAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: unknown) => {
    if (error instanceof ParameterNotFound) return undefined
    throw error
  })
}

/** What fails there is told with the name of the parameter, never with its value. */
function told<T>(name: string, verb: 'read' | 'written' | 'deleted', work: Promise<T>): Promise<T> {
  return work.catch((cause: unknown) => {
    const why =
      cause instanceof ParameterAlreadyExists
        ? 'exists already; it is not overwritten'
        : `cannot be ${verb}`
    throw new Error(`parameter ${name} ${why}`, { cause })
  })
}
