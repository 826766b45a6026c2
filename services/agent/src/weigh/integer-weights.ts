/**
 * Exact weights → the small whole numbers that the kernel takes. wrr gives the difference of two weights, divided by the
 * greatest common divisor of all, in one go: 200 beside 43 is a burst of 157 connections, 14 beside 3 one of 11. So
 * these are the least numbers that keep every share true, but where intent's own are whole they stay. Pure.
 */

/** What `weightSchema` allows: schedulers multiply weights by connections in 32 bits. */
const WEIGHT_MAX = 65_535
/** Up to here each whole scale is tried, then steps of a quarter: weights of a ramp are parts of 1, and need more. */
const FINE_SCALE_MAX = 1_000
const COARSE_STEP = 1.25
/** How many destinations and which sums are worth a search for the least: a wrong sum is seen at once, a right one is rare. */
const SEARCHED_MAX = 64
const SUM_MAX = 1_000
/** A destination may be wrong by this part of its own share, or by this part of all connections. */
const OWN_ERROR_MAX = 0.01
const ERROR_MAX = 0.000_5
/** Destinations of a level may together be wrong by this part of all connections. */
const LEVEL_ERROR_MAX = 0.005

export type ExactWeight = {
  /** Above 0. */
  readonly weight: number
  /** What must be right as a whole, too. */
  readonly level: number
}

/** Never 0. As they are where they are whole. */
export function integerWeights(exact: readonly ExactWeight[]): number[] {
  const largest = exact.reduce((max, { weight }) => Math.max(max, weight), 0)
  if (largest > WEIGHT_MAX) return scaled(exact, WEIGHT_MAX / largest)
  if (exact.every(({ weight }) => Number.isInteger(weight))) return scaled(exact, 1)
  const least = leastBySum(exact)
  if (least !== undefined) return least
  const scaleMax = WEIGHT_MAX / largest
  for (let scale = 1; scale < scaleMax; scale = nextScale(scale)) {
    const weights = scaled(exact, scale)
    if (areTrue(weights, exact)) return weights
  }
  return scaled(exact, scaleMax)
}

function nextScale(scale: number): number {
  return scale < FINE_SCALE_MAX ? scale + 1 : scale * COARSE_STEP
}

function leastBySum(exact: readonly ExactWeight[]): number[] | undefined {
  if (exact.length > SEARCHED_MAX) return undefined
  const exactSum = exact.reduce((total, { weight }) => total + weight, 0)
  for (let sum = exact.length; sum <= SUM_MAX; sum++) {
    const weights = scaled(exact, sum / exactSum)
    if (areTrue(weights, exact)) return weights
  }
  return undefined
}

function scaled(exact: readonly ExactWeight[], scale: number): number[] {
  return exact.map(({ weight }) => Math.max(1, Math.round(weight * scale)))
}

function areTrue(weights: readonly number[], exact: readonly ExactWeight[]): boolean {
  const sum = weights.reduce((total, weight) => total + weight, 0)
  const exactSum = exact.reduce((total, { weight }) => total + weight, 0)
  const levelErrors = new Map<number, number>()
  for (const [i, { weight, level }] of exact.entries()) {
    const wanted = weight / exactSum
    const error = (weights[i] ?? 0) / sum - wanted
    if (Math.abs(error) > Math.max(OWN_ERROR_MAX * wanted, ERROR_MAX)) return false
    levelErrors.set(level, (levelErrors.get(level) ?? 0) + error)
  }
  return [...levelErrors.values()].every((error) => Math.abs(error) <= LEVEL_ERROR_MAX)
}
