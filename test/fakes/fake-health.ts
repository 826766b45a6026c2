/** Verdicts on real servers, as a test says. Whoever was never said anything about is not checked. */
import type { Health, HealthSource } from '../../services/agent/src/weigh/health.ts'

export type FakeHealth = HealthSource & {
  say(realServer: string, state: Health['state'], sinceMs: number): void
}

export function createFakeHealth(): FakeHealth {
  const verdicts = new Map<string, Health>()
  let changed = new Set<string>()
  let onChange = (): void => undefined
  return {
    healthOf: ({ realServer }) => verdicts.get(realServer),
    get hasChanged() {
      return changed.size > 0
    },
    subscribe(listener) {
      onChange = listener
    },
    takeChanged() {
      const taken = changed
      changed = new Set()
      return taken
    },
    say(realServer, state, sinceMs) {
      verdicts.set(realServer, { state, sinceMs, why: 'as the test says', class: 'server-down' })
      changed.add(realServer)
      onChange()
    },
  }
}
