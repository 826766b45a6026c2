/** When to try again: twice as long each time up to an hour, and anywhere within it, so that receivers that come back are not met by all at once. */
const RETRY_MAX_MS = 3_600_000

export function retryDelayMs(attempts: number, firstMs: number, random: number): number {
  const ceiling = Math.min(RETRY_MAX_MS, firstMs * 2 ** Math.min(attempts - 1, 30))
  return Math.round(random * ceiling)
}
