/** Full-jitter exponential backoff: after an outage the fleet comes back spread out, not as a herd. */
import type { Random } from '../ports.ts'

const BASE_MS = 250
const MAX_MS = 30_000

/** How long to wait before attempt `failures + 1`; never less than what the server asked for. */
export function backoffMs(failures: number, random: Random, retryAfterMs = 0): number {
  const ceiling = Math.min(MAX_MS, BASE_MS * 2 ** Math.min(Math.max(failures - 1, 0), 20))
  const jittered = random() * ceiling
  // The server's wish is a floor; the jitter on top keeps those that heard the same wish apart.
  return retryAfterMs > 0 ? retryAfterMs + jittered : jittered
}

/** Milliseconds that a Retry-After header asks for (seconds or an HTTP date); 0 when there is none, an hour at most. */
export function retryAfterMs(header: string | undefined, wallMs: number): number {
  if (header === undefined) return 0
  const seconds = /^\d+$/.test(header.trim())
    ? Number(header)
    : (Date.parse(header) - wallMs) / 1_000
  if (!Number.isFinite(seconds) || seconds <= 0) return 0
  return Math.min(seconds, 3_600) * 1_000
}
