/** Removes one object, unless others refer to it. */
import type { Scope } from '../access/grant.ts'
import { ApiError } from '../errors.ts'
import { withoutObject } from '../intent/fleet.ts'
import type { Kind } from '../intent/kinds.ts'
import type { Deps } from './deps.ts'
import { objectKey } from './live-fleet.ts'
import { checkPrecondition, type Precondition } from './preconditions.ts'
import { publish, type Published } from './publish.ts'
import { stillReferenced } from './refusals.ts'

export type ObjectRemoval = {
  readonly actor: string
  /** What the operator is bound to; null = nothing. */
  readonly scope: Scope | null
  readonly kind: Kind
  readonly name: string
  readonly precondition: Precondition
  readonly dryRun: boolean
  readonly allowShrink: boolean
}

export function deleteObject(deps: Deps, removal: ObjectRemoval): Promise<Published> {
  const { actor, scope, kind, name, dryRun, allowShrink } = removal
  return publish(deps, {
    actor,
    scope,
    action: `${kind}.delete`,
    dryRun,
    allowShrink,
    refuse: stillReferenced(kind, name),
    change: (held) => {
      const object = held.objects.get(objectKey(kind, name))
      if (object === undefined) throw new ApiError('not-found', `there is no ${kind} named ${name}`)
      checkPrecondition(object, `${kind} ${name}`, removal.precondition, false)
      return withoutObject(held.fleet, kind, name)
    },
  })
}
