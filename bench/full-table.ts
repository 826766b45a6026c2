/**
 * When a program's whole table is in the kernel: /proc/net/ip_vs says, as nothing else tells. Asking takes a guest's one
 * processor a third of the time, so a first run says from when on to ask.
 */
import { median } from './figure.ts'

/** Of what a run took that was asked all the time: before that nobody needs to ask. */
const QUIET = 0.7

/** Of runs that are watched without slowing them down: the first one is asked all the time and not counted. */
export async function watched(
  repeats: number,
  run: (quietMs: number) => Promise<number>,
): Promise<number> {
  const quietMs = (await run(0)) * QUIET
  const took: number[] = []
  for (let i = 0; i < repeats; i++) took.push(await run(quietMs))
  return median(took)
}

/** Shell words that end when so many destinations have `weight`, which is not asked before `quietMs`. */
export function untilWeight(weight: number, destinations: number, quietMs: number): string {
  return `sleep ${quietMs / 1_000}; until [ $(grep -cE "Route +${weight} " /proc/net/ip_vs) -ge ${destinations} ]; do sleep 0.02; done`
}
