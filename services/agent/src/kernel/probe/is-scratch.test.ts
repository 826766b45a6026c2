import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '@lvs-fleet/contract'
import { isScratch } from './is-scratch.ts'

const CASES: readonly [what: string, addresses: string[], links: string[], want: boolean][] = [
  ['as unshare makes it', [], ['lo'], true],
  ['as systemd makes it, loopback up', ['127.0.0.1', '::1'], ['lo'], true],
  ['with what tunnel modules put there', ['127.0.0.1'], ['lo', 'tunl0', 'gre0', 'sit0'], true],
  ['a machine before its network is up', ['127.0.0.1', '::1'], ['lo', 'eth0'], false],
  ['a VIP on loopback', ['127.0.0.1', '10.1.0.100'], ['lo'], false],
  ['a machine', ['127.0.0.1', '10.1.0.10'], ['lo', 'eth0'], false],
]
for (const [what, addresses, links, want] of CASES) {
  test(`${what}: ${want ? 'nobody lives there' : 'nothing is tried there'}`, () => {
    const network = {
      addresses: addresses.map((address) => ({ address: ip(address) })),
      links: links.map((name) => ({ name })),
    }
    assert.equal(isScratch(network), want)
  })
}
