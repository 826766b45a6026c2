/** Creates or replaces one object, or merges a patch into one (RFC 7396). */
import type { Scope } from '../access/grant.ts'
import { ApiError } from '../errors.ts'
import { bodyToDocument, withObject } from '../intent/fleet.ts'
import { SPEC_SCHEMAS, type Kind } from '../intent/kinds.ts'
import type { StoredObject } from '../store/intent-store.ts'
import type { Deps } from './deps.ts'
import { objectKey } from './live-fleet.ts'
import { mergePatch } from './merge-patch.ts'
import { checkPrecondition, type Precondition } from './preconditions.ts'
import { publish, type Published } from './publish.ts'
import { invalidBody, invalidObject } from './refusals.ts'

export type ObjectWrite = {
  readonly actor: string
  /** What the operator is bound to; null = nothing. */
  readonly scope: Scope | null
  readonly kind: Kind
  readonly name: string
  /** The body as the operator wrote it, without its name; of a patch, the patch. */
  readonly body: Readonly<Record<string, unknown>>
  readonly precondition: Precondition
  readonly dryRun: boolean
  readonly allowShrink: boolean
}

export type ObjectWritten = {
  readonly published: Published
  readonly object: StoredObject
  readonly isCreated: boolean
}

export function putObject(deps: Deps, write: ObjectWrite): Promise<ObjectWritten> {
  return writeObject(deps, write, 'put', (object) => {
    checkPrecondition(object, `${write.kind} ${write.name}`, write.precondition, !write.dryRun)
    return write.body
  })
}

export function patchObject(deps: Deps, write: ObjectWrite): Promise<ObjectWritten> {
  return writeObject(deps, write, 'patch', (object) => {
    if (object === undefined)
      throw new ApiError('not-found', `there is no ${write.kind} named ${write.name}`)
    checkPrecondition(object, `${write.kind} ${write.name}`, write.precondition, !write.dryRun)
    return mergePatch(bodyToDocument(object.spec), write.body)
  })
}

async function writeObject(
  deps: Deps,
  write: ObjectWrite,
  verb: string,
  bodyFrom: (object: StoredObject | undefined) => Readonly<Record<string, unknown>>,
): Promise<ObjectWritten> {
  const { kind, name, actor, scope, dryRun, allowShrink } = write
  const key = objectKey(kind, name)
  let isCreated = false
  const published = await publish(deps, {
    actor,
    scope,
    action: `${kind}.${verb}`,
    dryRun,
    allowShrink,
    refuse: invalidObject(kind, name),
    change: (held) => {
      const object = held.objects.get(key)
      isCreated = object === undefined
      const parsed = SPEC_SCHEMAS[kind].safeParse({ ...bodyFrom(object), name })
      if (!parsed.success) throw invalidBody(parsed.error)
      return withObject(held.fleet, kind, parsed.data)
    },
  })
  const object = published.snapshot.objects.get(key)
  if (object === undefined) throw new Error(`${key} is missing after it was written`)
  return { published, object, isCreated }
}
