import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { publicKeySchema } from '@lvs-fleet/contract'
import { calculateJwkThumbprint, CompactSign, compactVerify, importJWK } from 'jose'
import * as z from 'zod'
import { importPublicKey, signCompact, thumbprint, verifyCompact } from './jws.ts'

function makeKey() {
  const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  return publicKeySchema.extend({ d: z.string() }).parse(jwk)
}

const key = makeKey()
const keys = [importPublicKey(key)]
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('compact JWS', () => {
  it('is what a JOSE library reads and writes', async () => {
    const ours = signCompact({ kid: 'k' }, { sub: 'host' }, key)
    const { d: _, ...publicJwk } = key
    const theirKey = await importJWK(publicJwk, 'EdDSA')
    const { payload, protectedHeader } = await compactVerify(ours, theirKey)
    assert.deepEqual(JSON.parse(Buffer.from(payload).toString()), { sub: 'host' })
    assert.deepEqual(protectedHeader, { alg: 'EdDSA', kid: 'k' })
    for (const alg of ['EdDSA', 'Ed25519']) {
      const theirs = await new CompactSign(Buffer.from('any text'))
        .setProtectedHeader({ alg })
        .sign(await importJWK(key, alg))
      assert.equal(verifyCompact(theirs, keys), 'any text')
    }
    assert.equal(thumbprint(key), await calculateJwkThumbprint(key))
  })

  it('takes the word of any trusted key and of no other', () => {
    const other = makeKey()
    const jws = signCompact({}, { a: 1 }, other)
    assert.equal(verifyCompact(jws, keys), undefined)
    assert.equal(verifyCompact(jws, [...keys, importPublicKey(other)]), '{"a":1}')
    assert.equal(verifyCompact(jws, []), undefined)
  })

  it('refuses other algorithms, extensions, unsigned and cut texts', () => {
    const [header = '', payload = '', signature = ''] = signCompact({}, { a: 1 }, key).split('.')
    const rows = [
      `${encode({ alg: 'none' })}.${payload}.`,
      `${encode({ alg: 'none' })}.${payload}.${signature}`,
      `${encode({ alg: 'HS256' })}.${payload}.${signature}`,
      signCompact({ alg: 'HS256' }, { a: 1 }, key),
      signCompact({ crit: 'exp' }, { a: 1 }, key),
      `${header}.${encode({ a: 2 })}.${signature}`,
      `${header}.${payload}.${signature.slice(0, -2)}`,
      `${header}.${payload}`,
      `!!.${payload}.${signature}`,
      '',
    ]
    for (const row of rows) assert.equal(verifyCompact(row, keys), undefined, row)
  })

  it('refuses every single flipped bit of a signed text', () => {
    const jws = signCompact({ kid: 'k' }, { a: 1 }, key)
    const [header = '', payload = '', signature = ''] = jws.split('.')
    for (const [i, part] of [header, payload, signature].entries()) {
      const bytes = Buffer.from(part, 'base64url')
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = Buffer.from(bytes)
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const parts = [header, payload, signature].with(i, flipped.toString('base64url'))
        assert.equal(verifyCompact(parts.join('.'), keys), undefined, `part ${i}, bit ${bit}`)
      }
    }
  })
})
