/**
 * Reads shards and their virtual services. One destination stands in many virtual services: equal ones become
 * one object here, and only the first of them is checked, which saves most of the time and memory of a large state.
 */
import {
  destinationStateSchema,
  hostPartSchema,
  serviceSchemaWith,
  type DestinationState,
  type Shard,
} from '@lvs-fleet/contract'
import * as z from 'zod'

/** Checked destinations by their JSON; bounded, and emptied when full. */
const known = new Map<string, DestinationState>()
const KNOWN_MAX = 16_384

const sharedDestinationSchema = z.unknown().transform((value, ctx): DestinationState => {
  const text = JSON.stringify(value)
  const held = known.get(text)
  if (held !== undefined) return held
  const parsed = destinationStateSchema.safeParse(value)
  if (!parsed.success) {
    for (const { path, message } of parsed.error.issues) {
      ctx.addIssue({ code: 'custom', path: [...path], message })
    }
    return z.NEVER
  }
  if (known.size >= KNOWN_MAX) known.clear()
  known.set(text, parsed.data)
  return parsed.data
})

/** `serviceStateSchema`, with destinations that are shared: not to be written to. */
export const sharedServiceSchema = serviceSchemaWith(sharedDestinationSchema)

const sharedShardSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('host'), host: hostPartSchema }),
  z.object({ kind: z.literal('services'), services: z.array(sharedServiceSchema) }),
])

/** Parses one shard body whose digest the caller has checked. */
export function parseShard(body: string): { shard: Shard } | { problem: string } {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return { problem: 'a shard is not JSON' }
  }
  const parsed = sharedShardSchema.safeParse(value)
  if (parsed.success) return { shard: parsed.data }
  const issue = parsed.error.issues[0]
  return {
    problem: `a shard cannot be read at ${issue?.path.join('.') ?? '?'}: ${issue?.message ?? '?'}`,
  }
}
