/**
 * Preconditions (RFC 9110) on an object: who replaces says what is replaced. A body's own `version` counts as
 * If-Match, so that GET, edit, PUT is safe without a header. Pure.
 */
import { ApiError } from '../errors.ts'
import type { StoredObject } from '../store/intent-store.ts'

export type Precondition = {
  /** Versions of which one must stand; `*` = any version. undefined = not said. */
  readonly ifMatch: readonly string[] | undefined
  /** Create only. */
  readonly ifNoneMatch: boolean
  /** Replace whatever stands. */
  readonly force: boolean
}

export function checkPrecondition(
  object: StoredObject | undefined,
  what: string,
  given: Precondition,
  isRequired: boolean,
): void {
  if (given.ifNoneMatch && object !== undefined) {
    throw new ApiError('stale-version', `${what} exists already, at version ${object.version}`)
  }
  if (given.ifMatch !== undefined) {
    const version = object === undefined ? undefined : String(object.version)
    const matches =
      version !== undefined && (given.ifMatch.includes('*') || given.ifMatch.includes(version))
    if (matches) return
    const state = version === undefined ? 'does not exist' : `is at version ${version}`
    throw new ApiError(
      'stale-version',
      `${what} ${state}, not at ${given.ifMatch.join(' or ')}: read it again`,
    )
  }
  if (isRequired && object !== undefined && !given.force) {
    throw new ApiError(
      'precondition-required',
      `${what} exists at version ${object.version}: send If-Match: "${object.version}", or ?force=true to replace it whatever it is`,
    )
  }
}
