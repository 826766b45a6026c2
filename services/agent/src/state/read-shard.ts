/**
 * Reads shards and their virtual services: text from the wire or the disk → checked values, or where they are wrong.
 * One destination stands in many virtual services: equal ones become one object here, and only the first of
 * them is checked, which saves most of the time and memory that a large state costs.
 */
import {
  destinationStateSchema,
  serviceStateSchema,
  shardSchema,
  type DestinationState,
  type Forwarding,
  type ServiceState,
  type Shard,
} from '@lvs-fleet/contract'
import type * as z from 'zod'

export type Read<T> =
  | { readonly ok: true; readonly value: T }
  /** `path`: from the value that was read to what is wrong with it. */
  | { readonly ok: false; readonly path: readonly PropertyKey[]; readonly problem: string }

/** Parses one shard body whose digest the caller has checked. */
export function parseShard(body: string): { shard: Shard } | { problem: string } {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return { problem: 'a shard is not JSON' }
  }
  const read = readShard(value)
  if (read.ok) return { shard: read.value }
  return { problem: `a shard cannot be read at ${read.path.join('.') || '?'}: ${read.problem}` }
}

/** A list of virtual services whose destinations are shared with other lists: not to be written to. */
export function readServices(values: readonly unknown[]): Read<ServiceState[]> {
  const services: ServiceState[] = []
  for (const [i, value] of values.entries()) {
    const read = readService(value)
    if (!read.ok) return { ...read, path: [i, ...read.path] }
    services.push(read.value)
  }
  return { ok: true, value: services }
}

function readShard(value: unknown): Read<Shard> {
  if (!isRecord(value) || value['kind'] !== 'services' || !Array.isArray(value['services'])) {
    return checked(shardSchema.safeParse(value))
  }
  const read = readServices(value['services'])
  if (!read.ok) return { ...read, path: ['services', ...read.path] }
  return { ok: true, value: { kind: 'services', services: read.value } }
}

function readService(value: unknown): Read<ServiceState> {
  if (!isRecord(value) || !Array.isArray(value['destinations'])) {
    return checked(serviceStateSchema.safeParse(value))
  }
  // The schema sees the service without its destinations: calling it for each of them is what takes the time.
  const service = checked(serviceStateSchema.safeParse({ ...value, destinations: [] }))
  if (!service.ok) return service
  const list: readonly unknown[] = value['destinations']
  for (const [i, item] of list.entries()) {
    const read = readDestination(item)
    if (!read.ok) return { ...read, path: ['destinations', i, ...read.path] }
    service.value.destinations.push(read.value)
  }
  return service
}

/** Checked destinations by their JSON; bounded, and emptied when full. */
const known = new Map<string, DestinationState>()
const KNOWN_MAX = 16_384
/** Forwardings by their JSON: a handful, so that equal ones are one object too. */
const forwardings = new Map<string, Forwarding>()

function readDestination(value: unknown): Read<DestinationState> {
  const text = JSON.stringify(value) ?? ''
  const held = known.get(text)
  if (held !== undefined) return { ok: true, value: held }
  const read = checked(destinationStateSchema.safeParse(value))
  if (!read.ok) return read
  const destination = { ...read.value, forwarding: sharedForwarding(read.value.forwarding) }
  if (known.size >= KNOWN_MAX) known.clear()
  known.set(text, destination)
  return { ok: true, value: destination }
}

function sharedForwarding(forwarding: Forwarding): Forwarding {
  const text = JSON.stringify(forwarding)
  const held = forwardings.get(text)
  if (held !== undefined) return held
  if (forwardings.size >= KNOWN_MAX) forwardings.clear()
  forwardings.set(text, forwarding)
  return forwarding
}

function checked<T>(result: z.ZodSafeParseResult<T>): Read<T> {
  if (result.success) return { ok: true, value: result.data }
  const issue = result.error.issues[0]
  return { ok: false, path: issue?.path ?? [], problem: issue?.message ?? '?' }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
