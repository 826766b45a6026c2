/**
 * Secrets in AWS Systems Manager Parameter Store, always as SecureString. `create` never overwrites: whoever comes
 * second is told so, because a signing key that is replaced locks every agent out.
 */
import {
  GetParameterCommand,
  ParameterAlreadyExists,
  ParameterNotFound,
  PutParameterCommand,
  SSMClient,
} from '@aws-sdk/client-ssm'

const REQUEST_TIMEOUT_MS = 5_000

export type Parameters = {
  /** undefined when there is no such parameter. */
  readonly read: (name: string) => Promise<string | undefined>
  readonly create: (name: string, value: string) => Promise<void>
}

export function openParameters(region: string): Parameters {
  const client = new SSMClient({ region, maxAttempts: 3 })
  const within = () => ({ abortSignal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) })
  return {
    read: async (name) => {
      try {
        const command = new GetParameterCommand({ Name: name, WithDecryption: true })
        return (await client.send(command, within())).Parameter?.Value
      } catch (error) {
        if (error instanceof ParameterNotFound) return undefined
        throw new Error(`parameter ${name} cannot be read`, { cause: error })
      }
    },
    create: async (name, value) => {
      const command = new PutParameterCommand({
        Name: name,
        Value: value,
        Type: 'SecureString',
        Overwrite: false,
      })
      try {
        await client.send(command, within())
      } catch (error) {
        const why =
          error instanceof ParameterAlreadyExists
            ? 'exists already; it is not overwritten'
            : 'cannot be written'
        throw new Error(`parameter ${name} ${why}`, { cause: error })
      }
    },
  }
}
