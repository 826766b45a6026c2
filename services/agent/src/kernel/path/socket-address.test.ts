import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ip } from '@lvs-fleet/contract'
import { encodeSocketAddress } from './socket-address.ts'

describe('encodeSocketAddress', () => {
  it('gives the bytes of struct sockaddr_in', () => {
    const bytes = encodeSocketAddress(ip('10.1.0.10'), 0x1234)
    assert.equal(Buffer.from(bytes).toString('hex'), '020012340a01000a0000000000000000')
  })

  it('gives the bytes of struct sockaddr_in6', () => {
    const bytes = encodeSocketAddress(ip('fd01::10'), 80)
    const expected = `0a000050${'00000000'}fd01${'0'.repeat(24)}0010${'00000000'}`
    assert.equal(Buffer.from(bytes).toString('hex'), expected)
  })
})
