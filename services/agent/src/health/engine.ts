/**
 * The health engine: the checks of the state in force → probes at their times → verdicts and events. A thin runner:
 * when to ask is `schedule.ts`, what an answer means `judge.ts`, what is broken `classify.ts`. One timer, a bounded
 * number of probes at a time; what does not fit waits, and no check ever has two probes of its own under way.
 */
import type { CheckHealth, CheckState, HealthEvent } from '@lvs-fleet/contract'
import { createNudge } from '../nudge.ts'
import type { Clock } from '../ports.ts'
import { needsSecondProbe } from './classify.ts'
import { DueQueue } from './due-queue.ts'
import type { Prober } from './probe.ts'
import { nextProbeMs } from './schedule.ts'
import { begin, takeAnswers, type Answers, type Known } from './verdict.ts'

/** Each holds a socket and some 10 kB. */
export const IN_FLIGHT_MAX = 1_024
/** Probes that are due within it start together: fewer wake-ups. */
const TICK_MS = 10
const IDLE_MS = 60_000

export type EngineDeps = {
  readonly clock: Clock
  /** Of this host, so that directors do not ask in step. */
  readonly seed: number
  readonly probe: Prober
  /** Every change of state or class. */
  readonly onEvent: (event: HealthEvent) => void
  readonly inFlightMax?: number
  /** What an earlier life knew, for the first state of this one. */
  readonly recalled?: readonly CheckHealth[]
}

export type HealthEngine = {
  /** The checks of a new state; those that stay keep their history, those that leave are forgotten. */
  replace(checks: readonly CheckState[]): void
  /** By key; what is not there is not checked. */
  readonly results: ReadonlyMap<string, CheckHealth>
  /** Runs until `signal` aborts; probes under way then end unheard. */
  run(signal: AbortSignal): Promise<void>
}

type Entry = Known & { readonly check: CheckState; readonly lastMs: number | null }

export function createHealthEngine(deps: EngineDeps): HealthEngine {
  const { clock, seed, probe, onEvent, inFlightMax = IN_FLIGHT_MAX } = deps
  const entries = new Map<string, Entry>()
  const results = new Map<string, CheckHealth>()
  const queue = new DueQueue<string>()
  const wake = createNudge()
  const recalled = new Map((deps.recalled ?? []).map((health) => [health.key, health]))
  let inFlight = 0
  let sleepsUntilMs = Number.NEGATIVE_INFINITY

  const isoNow = (): string => new Date(clock.wallMs()).toISOString()
  const keep = (entry: Entry): void => {
    entries.set(entry.check.key, entry)
    results.set(entry.check.key, entry.health)
  }
  const schedule = ({ check, judged, lastMs }: Entry): void => {
    const isDown = judged.state === 'down'
    const dueMs = nextProbeMs(check, { isDown, lastMs, nowMs: clock.monotonicMs(), seed })
    queue.push(dueMs, check.key)
    if (dueMs < sleepsUntilMs) wake.nudge()
  }

  const carryOut = async (asked: Entry): Promise<void> => {
    inFlight++
    const answers = await ask(probe, asked)
    inFlight--
    if (inFlight === inFlightMax - 1) wake.nudge()
    // It may have left the state meanwhile, or left and come back.
    if (entries.get(asked.check.key) !== asked) return
    const moment = { monotonicMs: clock.monotonicMs(), at: isoNow() }
    const { event, ...known } = takeAnswers(asked, answers, asked.check, moment)
    const entry = { ...asked, ...known }
    keep(entry)
    schedule(entry)
    if (event !== null) onEvent(event)
  }

  const startDue = (nowMs: number): void => {
    while (inFlight < inFlightMax) {
      const key = queue.take(nowMs)
      if (key === undefined) return
      const entry = entries.get(key)
      if (entry === undefined) continue
      const asked = { ...entry, lastMs: nowMs }
      keep(asked)
      void carryOut(asked)
    }
  }

  return {
    results,
    replace(checks) {
      const wanted = new Set(checks.map(({ key }) => key))
      for (const key of entries.keys()) {
        if (wanted.has(key)) continue
        entries.delete(key)
        results.delete(key)
      }
      for (const check of checks) {
        if (entries.has(check.key)) continue
        const known = begin(check, recalled.get(check.key), clock.monotonicMs(), isoNow())
        const entry = { check, ...known, lastMs: null }
        keep(entry)
        schedule(entry)
      }
      recalled.clear()
    },
    async run(signal) {
      while (!signal.aborted) {
        wake.take()
        const nowMs = clock.monotonicMs()
        startDue(nowMs)
        // Where no more may start, an answer wakes us.
        const dueMs = inFlight < inFlightMax ? (queue.nextMs ?? Infinity) : Infinity
        sleepsUntilMs = Math.min(nowMs + IDLE_MS, Math.max(nowMs + TICK_MS, dueMs))
        await wake.wait(sleepsUntilMs - nowMs, clock, signal)
        sleepsUntilMs = Number.NEGATIVE_INFINITY
      }
    },
  }
}

/** Where the next bad answer means down, the second opinion is asked for at the same time, not after the timeout. */
async function ask(probe: Prober, { check, judged }: Entry): Promise<Answers> {
  const isSuspect = judged.state !== 'up' || judged.streak + 1 >= check.fall
  const second =
    isSuspect && check.way.is === 'path' ? probe(check, 'direct') : Promise.resolve(undefined)
  const result = await probe(check, 'as-checked')
  if (result.is !== 'bad' || !needsSecondProbe(check.way, result.failure)) {
    return { result, direct: undefined }
  }
  return { result, direct: await second }
}
