/** Secrets as files of mode 0600 below one folder. */
import { mkdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writeSecretFile } from '../identity/signing-key.ts'
import { SECRET_NAME, secretProblem, type SecretStore } from './secret.ts'

export function fileSecrets(folder: string): SecretStore {
  const fileOf = (name: string): string => {
    if (!SECRET_NAME.test(name)) throw new Error(`${JSON.stringify(name)} is no name of a secret`)
    return join(folder, name)
  }
  return {
    get: (name) =>
      readFile(fileOf(name), 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined
        throw error
      }),
    async put(name, value) {
      const problem = secretProblem(name, value)
      if (problem !== undefined) throw new Error(problem)
      const file = fileOf(name)
      await mkdir(dirname(file), { recursive: true, mode: 0o700 })
      await writeSecretFile(file, value)
    },
    delete: (name) => rm(fileOf(name), { force: true }),
  }
}
