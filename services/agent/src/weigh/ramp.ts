/** Ramp (slow start): from a tenth of its weight to all of it in ten steps, each one netlink message. Pure. */

const STEPS = 10

export type Ramp = {
  /** Of its weight: 10 to 100. */
  readonly percent: number
  /** When it goes up next; null = it is over. */
  readonly nextMs: number | null
}

export function rampAt(fromMs: number, nowMs: number, slowStartSeconds: number): Ramp {
  const stepMs = (slowStartSeconds * 1_000) / STEPS
  const step = stepMs === 0 ? STEPS : Math.floor((nowMs - fromMs) / stepMs)
  if (step >= STEPS) return { percent: 100, nextMs: null }
  // The first step is given at once, so the second comes after two.
  const next = Math.max(2, step + 1)
  return { percent: Math.max(1, step) * (100 / STEPS), nextMs: Math.ceil(fromMs + next * stepMs) }
}
