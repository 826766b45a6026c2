/** Makes the fleet what a document says: what it leaves out is removed, but for overrides and drains. Doing it twice changes nothing. */
import type { Scope } from '../access/grant.ts'
import { ApiError } from '../errors.ts'
import { remainingDrains } from '../intent/drain-rules.ts'
import { fleetFromDocument, type FleetDocument } from '../intent/fleet.ts'
import { remainingOverrides } from '../intent/override-rules.ts'
import type { Deps } from './deps.ts'
import { publish, type Published } from './publish.ts'

export type FleetWrite = {
  readonly actor: string
  /** What the operator is bound to; null = nothing. */
  readonly scope: Scope | null
  readonly document: FleetDocument
  /** Revisions of which one must stand; undefined = any. */
  readonly ifMatch: readonly string[] | undefined
  readonly dryRun: boolean
  readonly allowShrink: boolean
}

export function putFleet(deps: Deps, write: FleetWrite): Promise<Published> {
  const fleet = fleetFromDocument(write.document)
  return publish(deps, {
    actor: write.actor,
    scope: write.scope,
    action: 'fleet.put',
    dryRun: write.dryRun,
    allowShrink: write.allowShrink,
    change: (held) => {
      const revision = String(held.revision)
      if (
        write.ifMatch !== undefined &&
        !write.ifMatch.includes('*') &&
        !write.ifMatch.includes(revision)
      ) {
        throw new ApiError(
          'stale-version',
          `the fleet is at revision ${revision}, not at ${write.ifMatch.join(' or ')}: read it again`,
        )
      }
      const { overrides, drains } = held.fleet
      return {
        ...fleet,
        overrides: remainingOverrides(overrides, fleet),
        drains: remainingDrains(drains, fleet),
      }
    },
  })
}
