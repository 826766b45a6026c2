/**
 * Effective weights and shares of levels: what two reports of one director explain → each weight and share that moved,
 * with the factor that moved it. Reports list what differs from intent, so what is not listed has intent's own weight.
 */
import {
  destinationKey,
  type DestinationState,
  type Level,
  type StatusReport,
  type WeighedDestination,
  type WeightFactor,
} from '@lvs-fleet/contract'
import type { NewEvent } from '../event.ts'
import { hostEvent, levelName, momentOf, type Seen } from './seen.ts'

type Weights = Pick<StatusReport, 'weights' | 'weightCount'>
type Moved = {
  readonly before: WeighedDestination | undefined
  readonly now: WeighedDestination | undefined
  readonly published: DestinationState | undefined
}

export function weightEvents(seen: Seen): NewEvent[] {
  const moved = movedBetween(seen)
  return [...levelEvents(moved, seen), ...moved.flatMap((one) => weightEvent(one, seen))]
}

/** Each destination that either report explains, as far as both say enough of it. */
function movedBetween({ before, now, services }: Seen): Moved[] {
  const old = byName(before?.weights ?? [])
  const fresh = byName(now.weights)
  const isWholeBefore = before === null || isWhole(before)
  const names = [...new Set([...fresh.keys(), ...old.keys()])]
  return names.flatMap((name) => {
    const one = { before: old.get(name), now: fresh.get(name) }
    if (one.before === undefined && !isWholeBefore) return []
    if (one.now === undefined && !isWhole(now)) return []
    const said = one.now ?? one.before
    const published = services
      .get(said?.service ?? '')
      ?.destinations.find((destination) => destinationKey(destination) === said?.destination)
    // It left the state: its drain is told, not its weight.
    if (one.now === undefined && published === undefined) return []
    return [{ ...one, published }]
  })
}

function isWhole({ weights, weightCount }: Weights): boolean {
  return weights.length >= weightCount
}

function byName(list: readonly WeighedDestination[]): Map<string, WeighedDestination> {
  return new Map(list.map((one) => [`${one.service} > ${one.destination}`, one]))
}

function weightEvent({ before, now, published }: Moved, seen: Seen): NewEvent[] {
  const said = now ?? before
  if (said === undefined) return []
  const from = before?.weight ?? intentOf(now)
  const to = now?.weight ?? published?.weight ?? intentOf(before)
  if (from === to) return []
  const reason = reasonOf(before, now)
  const service = seen.services.get(said.service)
  const subject = `${said.service} > ${said.destination}`
  const where = `${said.realServer} in ${service?.name ?? said.service} on ${seen.name}`
  return [
    hostEvent(seen, {
      kind: 'weight.changed',
      severity: to === 0 ? 'warning' : 'info',
      at: momentOf(reason.since, seen.at),
      realServer: said.realServer,
      virtualServices: service === undefined ? [] : [service.name],
      subject,
      cause: reason.text,
      message: `weight of ${where}: ${from} to ${to}, ${reason.text}`,
      detail: {
        service: said.service,
        destination: said.destination,
        from,
        to,
        factors: (now?.factors ?? []).map(({ name, value }) => ({ name, value })),
      },
    }),
  ]
}

function intentOf(said: WeighedDestination | undefined): number {
  return factorOf(said, 'intent')?.value ?? 0
}

function factorOf(
  said: WeighedDestination | undefined,
  name: WeightFactor['name'],
): WeightFactor | undefined {
  return said?.factors.find((factor) => factor.name === name)
}

/** The factors that are not what they were; the newest of them dates the change. */
function reasonOf(
  before: WeighedDestination | undefined,
  now: WeighedDestination | undefined,
): { text: string; since: string | null } {
  const changed = (now ?? before)?.factors.flatMap(({ name }) => {
    const was = factorOf(before, name)
    const is = factorOf(now, name)
    const neutral = name === 'intent' ? (was ?? is)?.value : 1
    const from = was?.value ?? neutral
    const to = is?.value ?? neutral
    if (from === to) return []
    const why = is?.why ?? 'as intent says'
    return [{ text: `${name} ${from} to ${to}: ${why}`, since: is?.since ?? null }]
  })
  if (changed === undefined || changed.length === 0) {
    return { text: 'the other destinations of its service changed', since: null }
  }
  const since = changed.flatMap((one) => one.since ?? []).toSorted()
  return { text: changed.map(({ text }) => text).join('; '), since: since.at(-1) ?? null }
}

/** One event for each level of a service whose share moved, whatever number of destinations it has. */
function levelEvents(moved: readonly Moved[], seen: Seen): NewEvent[] {
  const told = new Set<string>()
  return moved.flatMap(({ before, now, published }) => {
    const said = now ?? before
    const level = published?.placement?.level
    if (said === undefined || level === undefined) return []
    const name = `${said.service} ${level}`
    const from = shareOf(before, level)
    const to = shareOf(now, level)
    if (from === to || told.has(name)) return []
    told.add(name)
    const virtualService = seen.services.get(said.service)?.name ?? said.service
    const why = factorOf(now, 'levelShare')?.why ?? `${levelName(level)} is as intent says`
    const [cause = ''] = why.split('; ')
    return [
      hostEvent(seen, {
        kind: 'level.changed',
        severity: 'warning',
        at: momentOf(factorOf(now, 'levelShare')?.since ?? null, seen.at),
        virtualServices: [virtualService],
        subject: `${said.service} ${levelName(level)}`,
        cause,
        message: `${virtualService} on ${seen.name}: ${cause}, from ${percentOf(from)} %`,
        detail: { service: said.service, level, from, to },
      }),
    ]
  })
}

/** Of what is not listed: the first level has all, the others nothing. */
function shareOf(said: WeighedDestination | undefined, level: Level): number {
  return factorOf(said, 'levelShare')?.value ?? (level === 0 ? 1 : 0)
}

function percentOf(share: number): number {
  return Math.round(share * 10_000) / 100
}
