// Who answered, out of the answers that the lab's clients count.
import type { Histogram } from './protocol.ts'

/** `rs-b1:80 from=10.1.9.2` counts for rs-b1, `TIMEOUT` for itself. */
export function byServer(answers: Readonly<Histogram>): Histogram {
  const counts: Histogram = {}
  for (const [answer, count] of Object.entries(answers)) {
    const server = serverOf(answer)
    counts[server] = (counts[server] ?? 0) + count
  }
  return counts
}

export function serverOf(answer: string): string {
  return answer.replace(/:.*$/, '')
}
