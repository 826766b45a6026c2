/**
 * The last changes of weights that were not intent's doing, each with what explains it, for the next report: what comes and
 * goes between two reports is told as well. Bounded: of more than a report carries the newest stay, the others are counted.
 */
import {
  destinationKey,
  REPORT_LIST_MAX,
  serviceKey,
  type ServiceState,
  type WeighedDestination,
  type WeightChange,
  type WeightChanges,
} from '@lvs-fleet/contract'

export type WeighedChange = {
  /** As it was and as it will be in the kernel. */
  readonly before: ServiceState
  readonly after: ServiceState
  /** By destination key: weights of intent before. What intent changes itself is no news here. */
  readonly intentBefore: ServiceState
  readonly intentAfter: ServiceState
  readonly explain: () => readonly WeighedDestination[]
}

export class WeightChangeLog {
  private readonly since: string
  private readonly list: WeightChange[] = []
  private count = 0
  private droppedCount = 0

  /** `since`: wall clock, ms, of this life's beginning. */
  constructor(since: number) {
    this.since = new Date(since).toISOString()
  }

  /** Changes of one moment (wall clock, ms); no more are explained than a report carries. */
  note(changes: readonly WeighedChange[], wallMs: number): void {
    const at = new Date(wallMs).toISOString()
    let listed = 0
    for (const change of changes) {
      const moved = movedIn(change)
      if (moved.length === 0) continue
      const isExplained = listed < REPORT_LIST_MAX
      const said = isExplained
        ? new Map(change.explain().map((one) => [one.destination, one]))
        : null
      for (const { destination, realServer, from, to } of moved) {
        this.count++
        if (said === null || listed >= REPORT_LIST_MAX) {
          this.droppedCount++
          continue
        }
        listed++
        const service = serviceKey(change.after)
        const factors = said.get(destination)?.factors ?? []
        this.list.push({
          number: this.count,
          at,
          service,
          destination,
          realServer,
          from,
          to,
          factors: [...factors],
        })
      }
    }
    const overdue = this.list.splice(0, Math.max(0, this.list.length - REPORT_LIST_MAX))
    this.droppedCount += overdue.length
  }

  /** Null where there never was one. */
  get report(): WeightChanges | null {
    const { since, count, droppedCount, list } = this
    return count === 0 ? null : { since, count, droppedCount, list: [...list] }
  }

  /** Up to this number they are with the control plane. */
  noteReported(count: number): void {
    const isTold = this.list.findLastIndex(({ number }) => number <= count) + 1
    this.list.splice(0, isTold)
  }
}

type Moved = Pick<WeightChange, 'destination' | 'realServer' | 'from' | 'to'>

function movedIn({ before, after, intentBefore, intentAfter }: WeighedChange): Moved[] {
  if (before === after) return []
  const intentWas = weightsOf(intentBefore)
  const intentIs = weightsOf(intentAfter)
  const was = weightsOf(before)
  return after.destinations.flatMap((one) => {
    const destination = destinationKey(one)
    const from = was.get(destination)
    if (from === undefined || from === one.weight) return []
    if (intentWas.get(destination) !== intentIs.get(destination)) return []
    return [{ destination, realServer: one.realServer, from, to: one.weight }]
  })
}

function weightsOf({ destinations }: ServiceState): ReadonlyMap<string, number> {
  return new Map(destinations.map((one) => [destinationKey(one), one.weight]))
}
