/** What every store of secrets offers, and which names and values all of them take. */

export type SecretStore = {
  /** undefined when there is none of this name. */
  get(name: string): Promise<string | undefined>
  /** Replaces what was there, whole or not at all. */
  put(name: string, value: string): Promise<void>
  delete(name: string): Promise<void>
}

/** Parts of letters, digits, dashes, dots; no way out of a folder. */
export const SECRET_NAME =
  /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}(\/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){0,7}$/
/** What Parameter Store takes in its standard tier. */
const SECRET_BYTES_MAX = 4_096

/** Why a secret is not kept; undefined when it may be. */
export function secretProblem(name: string, value: string): string | undefined {
  if (!SECRET_NAME.test(name)) return `${JSON.stringify(name)} is no name of a secret`
  if (value === '') return `secret ${name} is empty`
  return Buffer.byteLength(value) > SECRET_BYTES_MAX
    ? `secret ${name} is longer than ${SECRET_BYTES_MAX} bytes`
    : undefined
}
