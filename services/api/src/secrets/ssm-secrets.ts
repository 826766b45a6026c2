/**
 * Secrets in AWS SSM Parameter Store: SecureString parameters below one prefix, by the role of this process. Region,
 * credentials and endpoint are what the SDK's environment says.
 */
import {
  DeleteParameterCommand,
  GetParameterCommand,
  ParameterNotFound,
  PutParameterCommand,
  SSMClient,
} from '@aws-sdk/client-ssm'
import { SECRET_NAME, secretProblem, type SecretStore } from './secret.ts'

const TIMEOUT_MS = 10_000
const ATTEMPTS = 3

export function ssmSecrets(prefix: string): SecretStore {
  const client = new SSMClient({ maxAttempts: ATTEMPTS })
  const nameOf = (name: string): string => {
    if (!SECRET_NAME.test(name)) throw new Error(`${JSON.stringify(name)} is no name of a secret`)
    return `${prefix.replace(/\/$/, '')}/${name}`
  }
  const bounded = () => ({ abortSignal: AbortSignal.timeout(TIMEOUT_MS) })
  const unlessAbsent = <T>(work: Promise<T>): Promise<T | undefined> =>
    work.catch((error: unknown) => {
      if (error instanceof ParameterNotFound) return undefined
      throw error
    })
  return {
    async get(name) {
      const command = new GetParameterCommand({ Name: nameOf(name), WithDecryption: true })
      return (await unlessAbsent(client.send(command, bounded())))?.Parameter?.Value
    },
    async put(name, value) {
      const problem = secretProblem(name, value)
      if (problem !== undefined) throw new Error(problem)
      await client.send(
        new PutParameterCommand({
          Name: nameOf(name),
          Value: value,
          Type: 'SecureString',
          Overwrite: true,
        }),
        bounded(),
      )
    },
    async delete(name) {
      await unlessAbsent(client.send(new DeleteParameterCommand({ Name: nameOf(name) }), bounded()))
    },
  }
}
