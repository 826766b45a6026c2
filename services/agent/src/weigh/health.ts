/** What weighing hears of health: a verdict for a destination from whoever checks it. */
import type { DestinationState } from '@lvs-fleet/contract'

export type Health = {
  /** `unknown`: checked, but no answer counts yet. */
  readonly state: 'up' | 'down' | 'unknown'
  /** Boot clock, ms. */
  readonly sinceMs: number
  readonly why: string
  /** What kind of failure: the real server itself, or the path to it. */
  readonly class?: string
}

/** Undefined: nobody checks it, so it counts as up. */
export type HealthOf = (
  destination: Pick<DestinationState, 'realServer' | 'address' | 'port' | 'checks'>,
) => Health | undefined

/** Where verdicts come from. */
export type HealthSource = {
  readonly healthOf: HealthOf
  readonly hasChanged: boolean
  /** Real servers whose verdict may be another one since this was last asked. */
  takeChanged(): ReadonlySet<string>
  /** `listener` hears of each change at once; the last one counts. */
  subscribe(listener: () => void): void
}

/** How long `unknown` keeps what was known before: an agent that starts anew must not send clients to the dead. */
export const UNKNOWN_KEEPS_MS = 60_000
