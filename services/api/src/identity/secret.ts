/**
 * Secrets that we hand out: `lvsj_` join tokens, `lvsk_` API keys, `lvsa_` access tokens. 256 random bits
 * each, so a plain SHA-256 is all that is stored; the prefix is for people and secret scanners.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'

export type Secret = { readonly id: string; readonly text: string; readonly sha256: string }

const ACCESS_TOKEN = /^lvsa_[A-Za-z0-9_-]{43}$/

/** A secret that is found by its id: `<prefix>_<id>_<secret>`. */
export function makeSecret(prefix: 'lvsj' | 'lvsk'): Secret {
  const id = randomBytes(6).toString('hex')
  const text = `${prefix}_${id}_${randomBytes(32).toString('base64url')}`
  return { id, text, sha256: sha256Hex(text) }
}

/** The id in a secret of this form; undefined when it has another form. */
export function secretId(prefix: 'lvsj' | 'lvsk', text: string): string | undefined {
  const match = /^(lvs[jk])_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/.exec(text)
  return match?.[1] === prefix ? match[2] : undefined
}

/** A bearer token that is found by its hash. */
export function makeAccessToken(): { text: string; sha256: string } {
  const text = `lvsa_${randomBytes(32).toString('base64url')}`
  return { text, sha256: sha256Hex(text) }
}

export function isAccessToken(text: string): boolean {
  return ACCESS_TOKEN.test(text)
}

/** Compares in constant time. */
export function matchesSecret(text: string, sha256: string): boolean {
  const given = Buffer.from(sha256Hex(text))
  const stored = Buffer.from(sha256)
  return given.length === stored.length && timingSafeEqual(given, stored)
}

export function sha256Hex(text: string): string {
  return hash('sha256', text)
}
