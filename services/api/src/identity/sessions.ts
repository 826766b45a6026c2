/**
 * Sessions: access tokens that this process has seen, by their SHA-256, so that an idle poll asks no database.
 * A token of another process is looked up once; one that nobody issued is remembered as such for a minute,
 * so that guessing costs the database nothing.
 */
import type { Identity } from '../store/host-store.ts'

export type Session = { readonly identity: Identity; readonly expiresAt: Date }

const SESSIONS_MAX = 100_000
const UNKNOWN_MAX = 10_000
const UNKNOWN_MS = 60_000

export class Sessions {
  readonly #sessions = new Map<string, Session>()
  readonly #unknown = new Map<string, number>()

  add(sha256: string, session: Session): void {
    if (this.#sessions.size >= SESSIONS_MAX) dropOldest(this.#sessions)
    this.#sessions.set(sha256, session)
  }

  /** `unknown` = surely no token; undefined = ask the database. */
  find(sha256: string, now: Date): Session | 'unknown' | undefined {
    const session = this.#sessions.get(sha256)
    if (session !== undefined) {
      if (session.expiresAt > now) return session
      this.#sessions.delete(sha256)
      return 'unknown'
    }
    const until = this.#unknown.get(sha256)
    return until !== undefined && until > now.getTime() ? 'unknown' : undefined
  }

  addUnknown(sha256: string, now: Date): void {
    if (this.#unknown.size >= UNKNOWN_MAX) dropOldest(this.#unknown)
    this.#unknown.set(sha256, now.getTime() + UNKNOWN_MS)
  }

  /** After a revocation, here or elsewhere: what is still good is found again in the database. */
  clear(): void {
    this.#sessions.clear()
  }

  prune(now: Date): void {
    for (const [key, session] of this.#sessions) {
      if (session.expiresAt <= now) this.#sessions.delete(key)
    }
    for (const [key, until] of this.#unknown) if (until <= now.getTime()) this.#unknown.delete(key)
  }

  get size(): number {
    return this.#sessions.size
  }
}

/** Maps keep the order of insertion. */
function dropOldest(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    map.delete(key)
    return
  }
}
