/**
 * Effective weights and shares of levels: what two reports of one director explain → each weight and share that moved,
 * with the factor that moved it. First the changes that the agent lists, one after the other; then what the reports' own
 * lists say besides, for agents that list none and changes that were too many. Reports list what differs from intent, so
 * what is not listed has intent's own weight.
 */
import {
  destinationKey,
  type DestinationState,
  type Level,
  type StatusReport,
  type WeighedDestination,
  type WeightChange,
  type WeightFactor,
} from '@lvs-fleet/contract'
import type { NewEvent } from '../event.ts'
import { hostEvent, levelName, momentOf, type Seen } from './seen.ts'

type Weights = Pick<StatusReport, 'weights' | 'weightCount'>
type Moved = {
  readonly before: WeighedDestination | undefined
  readonly now: WeighedDestination | undefined
  readonly published: DestinationState | undefined
  /** As its agent noted it; absent where it is concluded. */
  readonly change?: WeightChange
}

export function weightEvents(seen: Seen): NewEvent[] {
  const moved = movedBetween(seen)
  return [...levelEvents(moved, seen), ...moved.flatMap((one) => weightEvent(one, seen))]
}

/** Changes of weights since the report before that nothing tells: the agent dropped them, and the reports' lists lack them. */
export function untoldChanges(seen: Seen): number {
  const { weightChanges } = seen.now
  if (weightChanges === null) return 0
  const old = seen.before?.weightChanges
  const droppedBefore = old?.since === weightChanges.since ? old.droppedCount : 0
  const dropped = weightChanges.droppedCount - droppedBefore
  if (dropped <= 0) return 0
  const concluded = movedBetween(seen).filter(({ change }) => change === undefined)
  const told = concluded.flatMap((one) => weightEvent(one, seen)).length
  return Math.max(0, dropped - told)
}

/** In the order in which they happened, as far as the reports say enough. */
function movedBetween(seen: Seen): Moved[] {
  const { before, now } = seen
  const known = byName(before?.weights ?? [])
  const followed = new Set<string>()
  const listed = freshChanges(seen).map((change): Moved => {
    const { service, destination, realServer, to: weight, factors } = change
    const name = nameOf(change)
    const was = known.get(name)
    const is =
      factors.length === 0 ? undefined : { service, destination, realServer, weight, factors }
    if (is === undefined) known.delete(name)
    else known.set(name, is)
    followed.add(name)
    return { before: was, now: is, published: publishedOf(change, seen), change }
  })
  const fresh = byName(now.weights)
  const isWholeBefore = before === null || isWhole(before)
  const names = [...new Set([...fresh.keys(), ...known.keys()])]
  const concluded = names.flatMap((name): Moved[] => {
    const one = { before: known.get(name), now: fresh.get(name) }
    if (one.before === undefined && !isWholeBefore && !followed.has(name)) return []
    if (one.now === undefined && !isWhole(now)) return []
    const said = one.now ?? one.before
    const published = said && publishedOf(said, seen)
    // It left the state: its drain is told, not its weight.
    if (one.now === undefined && published === undefined) return []
    return [{ ...one, published }]
  })
  return [...listed, ...concluded]
}

/** Those that the report before did not count; a report that came twice brings none. */
function freshChanges({ before, now }: Seen): readonly WeightChange[] {
  const { since, list } = now.weightChanges ?? { since: '', list: [] }
  const old = before?.weightChanges
  const told = old?.since === since ? old.count : 0
  return list.filter(({ number }) => number > told)
}

type Named = Pick<WeighedDestination, 'service' | 'destination'>

function nameOf({ service, destination }: Named): string {
  return `${service} > ${destination}`
}

function publishedOf({ service, destination }: Named, seen: Seen): DestinationState | undefined {
  return seen.services
    .get(service)
    ?.destinations.find((candidate) => destinationKey(candidate) === destination)
}

function isWhole({ weights, weightCount }: Weights): boolean {
  return weights.length >= weightCount
}

function byName(list: readonly WeighedDestination[]): Map<string, WeighedDestination> {
  return new Map(list.map((one) => [nameOf(one), one]))
}

function weightEvent({ before, now, published, change }: Moved, seen: Seen): NewEvent[] {
  const said = change ?? now ?? before
  if (said === undefined) return []
  const from = change?.from ?? before?.weight ?? intentOf(now)
  const to = change?.to ?? now?.weight ?? published?.weight ?? intentOf(before)
  if (from === to) return []
  const reason = reasonOf(before, now)
  const service = seen.services.get(said.service)
  const subject = nameOf(said)
  const where = `${said.realServer} in ${service?.name ?? said.service} on ${seen.name}`
  return [
    hostEvent(seen, {
      kind: 'weight.changed',
      severity: to === 0 ? 'warning' : 'info',
      at: momentOf(change?.at ?? reason.since, seen.at),
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

/** One event for each step of a level's share, whatever number of destinations the level has. */
function levelEvents(moved: readonly Moved[], seen: Seen): NewEvent[] {
  const shares = new Map<string, number>()
  const told = new Set<string>()
  return moved.flatMap(({ before, now, published, change }) => {
    const said = change ?? now ?? before
    const placement = published?.placement
    if (said === undefined || placement === undefined) return []
    const { level, site } = placement
    // Capacities of sites make one share of a level different numbers in each.
    const place = `${said.service} ${level} ${site}`
    const from = shares.get(place) ?? shareOf(before, level)
    const to = shareOf(now, level)
    shares.set(place, to)
    if (from === to) return []
    const factor = factorOf(now, 'levelShare')
    const [cause = ''] = (factor?.why ?? `${levelName(level)} is as intent says`).split('; ')
    const since = factor?.since ?? change?.at ?? null
    const step = `${said.service} ${level} ${since} ${cause}`
    if (told.has(step)) return []
    told.add(step)
    const virtualService = seen.services.get(said.service)?.name ?? said.service
    return [
      hostEvent(seen, {
        kind: 'level.changed',
        severity: 'warning',
        at: momentOf(since, seen.at),
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
