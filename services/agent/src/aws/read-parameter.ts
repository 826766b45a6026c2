/** A join token from AWS SSM Parameter Store, decrypted, by the host's own role. Part of the second bundle. */
import { GetParameterCommand, ParameterNotFound, SSMClient } from '@aws-sdk/client-ssm'

const TIMEOUT_MS = 15_000

/** undefined when there is no such parameter. */
export async function readParameter(name: string, region: string): Promise<string | undefined> {
  const client = new SSMClient({ region, maxAttempts: 3 })
  try {
    const answer = await client.send(
      new GetParameterCommand({ Name: name, WithDecryption: true }),
      {
        abortSignal: AbortSignal.timeout(TIMEOUT_MS),
      },
    )
    return answer.Parameter?.Value
  } catch (error) {
    if (error instanceof ParameterNotFound) return undefined
    throw error
  } finally {
    client.destroy()
  }
}
