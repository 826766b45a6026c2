/**
 * Drains as the whole fleet carries them out: what each director that is concerned says is left, and one state of it.
 * Pure. Drained is only what every director says of the state that is published: silence is never taken for an empty one.
 */
import type { Drain, DrainProgress, StatusReport } from '@lvs-fleet/contract'

/** `silent`: no fresh report. `waiting`: it runs another state than the published one, or an agent that knows no drains. */
export const DIRECTOR_DRAIN_STATES = ['silent', 'waiting', 'draining', 'drained'] as const
export type DirectorDrainState = (typeof DIRECTOR_DRAIN_STATES)[number]
/** `stalled`: some director is silent, so that nobody knows. */
export const DRAIN_STATES = ['stalled', 'draining', 'drained'] as const
export type DrainFleetState = (typeof DRAIN_STATES)[number]

/** A director whose published state has destinations that drain. */
export type DrainObserver = {
  readonly director: string
  /** By the published state. */
  readonly destinations: number
  /** Null where there is none, or it is too old. */
  readonly report: Pick<StatusReport, 'drainProgress' | 'drains'> | null
  /** It runs what is published. */
  readonly isCurrent: boolean
}

export type DirectorDrain = {
  readonly director: string
  readonly state: DirectorDrainState
  readonly destinations: number
  readonly drained: number
  readonly activeConnections: number
  readonly inactiveConnections: number
  readonly persistentConnections: number
  readonly remainingSeconds: number | null
  /** The first of those that drain: a report carries a hundred over all drains. */
  readonly left: readonly Pick<
    Drain,
    'service' | 'destination' | 'connections' | 'remainingSeconds'
  >[]
}

export type DrainView = {
  readonly state: DrainFleetState
  readonly message: string
  readonly destinations: number
  readonly drained: number
  readonly activeConnections: number
  readonly inactiveConnections: number
  readonly persistentConnections: number
  readonly directors: readonly DirectorDrain[]
}

export function drainView(name: string, observers: readonly DrainObserver[]): DrainView {
  const directors = observers.map((observer) => directorDrain(name, observer))
  const sum = (of: (one: DirectorDrain) => number) =>
    directors.reduce((total, one) => total + of(one), 0)
  return {
    ...verdictOf(directors),
    destinations: sum((one) => one.destinations),
    drained: sum((one) => one.drained),
    activeConnections: sum((one) => one.activeConnections),
    inactiveConnections: sum((one) => one.inactiveConnections),
    persistentConnections: sum((one) => one.persistentConnections),
    directors,
  }
}

function directorDrain(name: string, observer: DrainObserver): DirectorDrain {
  const { director, destinations, report } = observer
  const progress = report?.drainProgress.find((one) => one.name === name)
  return {
    director,
    state: stateOf(observer, progress),
    destinations,
    drained: progress?.drained ?? 0,
    activeConnections: progress?.activeConnections ?? 0,
    inactiveConnections: progress?.inactiveConnections ?? 0,
    persistentConnections: progress?.persistentConnections ?? 0,
    remainingSeconds: progress?.remainingSeconds ?? null,
    left: (report?.drains ?? [])
      .filter(({ drain }) => drain === name)
      .map(({ service, destination, connections, remainingSeconds }) => ({
        service,
        destination,
        connections,
        remainingSeconds,
      })),
  }
}

function stateOf(
  { report, isCurrent }: DrainObserver,
  progress: DrainProgress | undefined,
): DirectorDrainState {
  if (report === null) return 'silent'
  if (progress === undefined) return 'waiting'
  if (progress.drained < progress.destinations) return 'draining'
  return isCurrent ? 'drained' : 'waiting'
}

function verdictOf(directors: readonly DirectorDrain[]): Pick<DrainView, 'state' | 'message'> {
  const named = (state: DirectorDrainState) =>
    directors.filter((one) => one.state === state).map(({ director }) => director)
  const silent = named('silent')
  const waiting = named('waiting')
  const open = directors.filter(({ state }) => state !== 'drained').length
  if (directors.length === 0) {
    return { state: 'drained', message: 'no director has a destination that it concerns' }
  }
  if (silent.length > 0) {
    const message = `nothing is heard of ${silent.join(', ')}, which drains by itself to the deadline if it ever heard of this`
    return { state: 'stalled', message }
  }
  if (waiting.length > 0) {
    return { state: 'draining', message: `not taken up yet by ${waiting.join(', ')}` }
  }
  if (open > 0)
    return { state: 'draining', message: `${open} of ${directors.length} directors are not done` }
  return { state: 'drained', message: 'out of every director; it stays out until this is deleted' }
}
