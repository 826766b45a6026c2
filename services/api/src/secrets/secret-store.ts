/**
 * SecretStore: where secrets are kept outside the database, by name. Two kinds behind one interface: AWS SSM Parameter
 * Store (`ssm:/prefix`) and a folder with one file each (`file:/folder`). The AWS SDK is loaded with the first use.
 */
import { fileSecrets } from './file-secrets.ts'
import type { SecretStore } from './secret.ts'

/** `where` is `ssm:/prefix` or `file:/folder`; throws for anything else. */
export async function openSecretStore(where: string): Promise<SecretStore> {
  const [, kind, path = ''] = /^(ssm|file):(\/.*)$/.exec(where) ?? []
  if (kind === 'file') return fileSecrets(path)
  if (kind === 'ssm') {
    const { openParameters, secretsBelow } = await import('./parameter-store.ts')
    return secretsBelow(path, openParameters())
  }
  throw new Error(`${where} is no place for secrets: use ssm:/PREFIX or file:/FOLDER`)
}
