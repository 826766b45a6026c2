/** Divides a whole number into whole parts in a proportion: largest remainders first, then the first. Pure. */

/** `parts` are not negative. All are 0 where nothing is to be divided by. */
export function apportion(total: number, parts: readonly number[]): number[] {
  const sum = parts.reduce((all, part) => all + part, 0)
  if (sum === 0) return parts.map(() => 0)
  const exact = parts.map((part) => (total * part) / sum)
  const whole = exact.map(Math.floor)
  let left = total - whole.reduce((all, part) => all + part, 0)
  const byRemainder = exact
    .map((value, i) => ({ i, remainder: value - Math.floor(value) }))
    .toSorted((a, b) => b.remainder - a.remainder || a.i - b.i)
  for (const { i } of byRemainder) {
    if (left <= 0) break
    whole[i] = (whole[i] ?? 0) + 1
    left--
  }
  return whole
}
