/**
 * The public keys of one OIDC issuer: found by discovery, kept in memory, fetched again when a token names a key that
 * is not known (not more often than the cool-down) and when they are old. Where the issuer does not answer, what is known
 * stays good for a day. These are the only URLs that this API ever fetches, so each is checked and bounded.
 */
import { createLocalJWKSet, type JSONWebKeySet } from 'jose'
import * as z from 'zod'
import { isTrustworthyUrl, type OidcIssuer } from './oidc-settings.ts'

const TIMEOUT_MS = 5_000
const BYTES_MAX = 256 * 1024
const KEYS_MAX = 100
/** Keys older than this are fetched again beside the next use. */
const FRESH_MS = 10 * 60_000
/** Keys older than this are no longer believed: a key that was taken away must end at some time. */
const STALE_MAX_MS = 24 * 3_600_000

const discoverySchema = z.looseObject({ issuer: z.string(), jwks_uri: z.string().max(2_000) })
const keySetSchema = z.looseObject({
  keys: z.array(z.looseObject({ kty: z.string() })).max(KEYS_MAX),
})

export type KeyLookup = ReturnType<typeof createLocalJWKSet>

export class OidcKeys {
  readonly #issuer: OidcIssuer
  readonly #now: () => Date
  #known: { readonly lookup: KeyLookup; readonly at: number } | undefined
  #triedAt = Number.NEGATIVE_INFINITY
  #fetching: Promise<void> | undefined

  constructor(issuer: OidcIssuer, now: () => Date) {
    this.#issuer = issuer
    this.#now = now
  }

  /** Throws when there are none that may be believed. */
  async current(): Promise<KeyLookup> {
    const age = this.#age()
    if (age > STALE_MAX_MS) await this.refresh()
    else if (age > FRESH_MS) await this.refresh().catch(() => {})
    if (this.#known === undefined || this.#age() > STALE_MAX_MS)
      throw new Error(`the keys of ${this.#issuer.issuer} are not known`)
    return this.#known.lookup
  }

  /** Fetches them now; does nothing within the cool-down. All who ask at once wait for one fetch. */
  async refresh(): Promise<void> {
    if (this.#fetching !== undefined) return this.#fetching
    const now = this.#now().getTime()
    if (now - this.#triedAt < this.#issuer.cooldownSeconds * 1_000) return
    this.#triedAt = now
    this.#fetching = this.#fetch().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  #age(): number {
    return this.#known === undefined
      ? Number.POSITIVE_INFINITY
      : this.#now().getTime() - this.#known.at
  }

  async #fetch(): Promise<void> {
    const { issuer } = this.#issuer
    const where = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const found = discoverySchema.parse(await fetchJson(where))
    if (found.issuer !== issuer)
      throw new Error(`${where} is of issuer ${found.issuer.slice(0, 200)}`)
    if (!this.#mayFetch(found.jwks_uri))
      throw new Error(
        `${issuer} has its keys at ${found.jwks_uri.slice(0, 200)}, which is not allowed`,
      )
    const { keys } = keySetSchema.parse(await fetchJson(found.jwks_uri))
    // What is not a public key of a pair has no place here, and must never verify anything.
    const set: JSONWebKeySet = {
      keys: keys.filter(({ kty }) => kty === 'RSA' || kty === 'EC' || kty === 'OKP'),
    }
    this.#known = { lookup: createLocalJWKSet(set), at: this.#now().getTime() }
  }

  #mayFetch(text: string): boolean {
    const url = URL.parse(text)
    const own = URL.parse(this.#issuer.issuer)
    if (url === null || own === null) return false
    if (!isTrustworthyUrl(`${url.origin}${url.pathname}`)) return false
    if (own.protocol === 'https:' && url.protocol !== 'https:') return false
    return url.host === own.host || this.#issuer.keyHosts.includes(url.host)
  }
}

async function fetchJson(url: string): Promise<unknown> {
  const answer = await fetch(url, {
    headers: { accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  if (answer.status !== 200 || answer.body === null) {
    await answer.body?.cancel()
    throw new Error(`${url} answered ${answer.status}`)
  }
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of answer.body) {
    size += part.length
    if (size > BYTES_MAX) throw new Error(`${url} answered more than ${BYTES_MAX} bytes`)
    parts.push(part)
  }
  return JSON.parse(Buffer.concat(parts).toString('utf8')) as unknown
}
