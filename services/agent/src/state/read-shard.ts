/**
 * Reads shards and their virtual services: text from the wire or the disk → checked values, or where they are wrong.
 * A large state says the same few things again and again: each distinct destination, and each distinct set of
 * service settings, is checked once, and what is equal is one object. That saves most of the time and the memory.
 */
import { randomUUID } from 'node:crypto'
import {
  destinationStateSchema,
  parseIp,
  portSchema,
  serviceStateSchema,
  shardSchema,
  type DestinationState,
  type EndpointService,
  type Forwarding,
  type ServiceState,
  type Shard,
} from '@lvs-fleet/contract'
import type * as z from 'zod/mini'
import { cutDestinations } from './cut-destinations.ts'
import { Memo } from './memo.ts'

export type Read<T> =
  | { readonly ok: true; readonly value: T }
  /** `path`: from the value that was read to what is wrong with it. */
  | { readonly ok: false; readonly path: readonly PropertyKey[]; readonly problem: string }

/** Parses one shard body whose digest the caller has checked. */
export function parseShard(body: string): { shard: Shard } | { problem: string } {
  const shard = parseQuickly(body)
  if (shard !== undefined) return { shard }
  const value = parseJson(body)
  if (value === undefined) return { problem: 'a shard is not JSON' }
  const read = readShard(value, undefined)
  if (read.ok) return { shard: read.value }
  return { problem: `a shard cannot be read at ${read.path.join('.') || '?'}: ${read.problem}` }
}

/** A list of virtual services whose destinations are shared with other lists: not to be written to. */
export function readServices(values: readonly unknown[]): Read<ServiceState[]> {
  return readEach(values, (value) => readService(value, undefined))
}

/** What nobody who writes a state can know. */
const SECRET = `${randomUUID()}/`

type Lists = ReadonlyMap<string, DestinationState[]>

/** Undefined where the text is not as we publish it, or wrong: then it is parsed as a whole, which says why. */
function parseQuickly(body: string): Shard | undefined {
  const cut = cutDestinations(body, SECRET, destinationOf)
  if (cut === undefined) return undefined
  const read = readShard(parseJson(cut.rest), cut.lists)
  return read.ok ? read.value : undefined
}

function readShard(value: unknown, lists: Lists | undefined): Read<Shard> {
  if (!isRecord(value) || value['kind'] !== 'services' || !Array.isArray(value['services'])) {
    return checked(shardSchema.safeParse(value))
  }
  const read = readEach(value['services'], (service) => readService(service, lists))
  if (!read.ok) return { ...read, path: ['services', ...read.path] }
  return { ok: true, value: { kind: 'services', services: read.value } }
}

function readService(value: unknown, lists: Lists | undefined): Read<ServiceState> {
  if (!isRecord(value)) return checked(serviceStateSchema.safeParse(value))
  const read = readDestinations(value['destinations'], lists)
  if (read === undefined) return checked(serviceStateSchema.safeParse(value))
  if (!read.ok) return { ...read, path: ['destinations', ...read.path] }
  return withDestinations(value, read.value)
}

/** Undefined where it is no list at all. */
function readDestinations(
  value: unknown,
  lists: Lists | undefined,
): Read<DestinationState[]> | undefined {
  if (lists !== undefined) {
    const list = typeof value === 'string' ? lists.get(value) : undefined
    return list === undefined ? undefined : { ok: true, value: list }
  }
  return Array.isArray(value) ? readEach(value, readDestination) : undefined
}

type Settings = Omit<EndpointService, 'address' | 'port' | 'name' | 'destinations'>

/** What services have in common, by its JSON. */
const settingsOf = new Memo<Settings>(1_024)

/** The schema sees a service only where its settings are new: it takes longer than all the rest. */
function withDestinations(
  value: Readonly<Record<string, unknown>>,
  destinations: DestinationState[],
): Read<ServiceState> {
  const { address, port, name, destinations: _, ...rest } = value
  const text = JSON.stringify(rest)
  const known = settingsOf.get(text)
  if (known !== undefined && typeof address === 'string' && typeof name === 'string') {
    const vip = parseIp(address)
    const readPort = portSchema.safeParse(port)
    if (vip !== undefined && readPort.success) {
      const service = { ...known, address: vip, port: readPort.data, name, destinations }
      return { ok: true, value: service }
    }
  }
  const read = checked(serviceStateSchema.safeParse({ ...value, destinations: [] }))
  if (!read.ok) return read
  const service: ServiceState = { ...read.value, destinations }
  if (!('firewallMark' in service)) {
    const {
      address: _address,
      port: _port,
      name: _name,
      destinations: _list,
      ...settings
    } = service
    settingsOf.set(text, settings)
  }
  return { ok: true, value: service }
}

/** Checked destinations by their JSON, what they have in common by its JSON, and their forwardings, of which there is a handful. */
const destinations = new Memo<DestinationState>(16_384)
const targetsOf = new Memo<Omit<DestinationState, 'realServer' | 'address'>>(1_024)
const forwardings = new Memo<Forwarding>(1_024)

function readDestination(value: unknown): Read<DestinationState> {
  const text = JSON.stringify(value) ?? ''
  const known = destinations.get(text)
  if (known !== undefined) return { ok: true, value: known }
  const read = checkDestination(value)
  if (read.ok) destinations.set(text, read.value)
  return read
}

/** From its own text; undefined where it is none. */
function destinationOf(text: string): DestinationState | undefined {
  const known = destinations.get(text)
  if (known !== undefined) return known
  const read = checkDestination(parseJson(text))
  if (!read.ok) return undefined
  destinations.set(text, read.value)
  return read.value
}

/** As with services, the schema sees only what is new besides address and name. */
function checkDestination(value: unknown): Read<DestinationState> {
  if (!isRecord(value)) return checked(destinationStateSchema.safeParse(value))
  const { realServer, address, ...rest } = value
  const text = JSON.stringify(rest)
  const known = targetsOf.get(text)
  if (known !== undefined && typeof realServer === 'string' && typeof address === 'string') {
    const ip = parseIp(address)
    if (ip !== undefined) return { ok: true, value: { realServer, address: ip, ...known } }
  }
  const read = checked(destinationStateSchema.safeParse(value))
  if (!read.ok) return read
  const { realServer: name, address: ip, ...target } = read.value
  const shared = { ...target, forwarding: sharedForwarding(target.forwarding) }
  targetsOf.set(text, shared)
  return { ok: true, value: { realServer: name, address: ip, ...shared } }
}

function sharedForwarding(forwarding: Forwarding): Forwarding {
  const text = JSON.stringify(forwarding)
  const known = forwardings.get(text)
  if (known === undefined) forwardings.set(text, forwarding)
  return known ?? forwarding
}

function readEach<T>(values: readonly unknown[], readOne: (value: unknown) => Read<T>): Read<T[]> {
  const list: T[] = []
  for (const [i, value] of values.entries()) {
    const read = readOne(value)
    if (!read.ok) return { ...read, path: [i, ...read.path] }
    list.push(read.value)
  }
  return { ok: true, value: list }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function checked<T>(result: z.core.util.SafeParseResult<T>): Read<T> {
  if (result.success) return { ok: true, value: result.data }
  const issue = result.error.issues[0]
  return { ok: false, path: issue?.path ?? [], problem: issue?.message ?? '?' }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
