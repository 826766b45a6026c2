import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EMPTY_HOST_PART } from '@lvs-fleet/contract'
import { held, link } from '../../../../test/fakes/patients.ts'
import { placeSysctls } from './place-sysctls.ts'

const network = {
  links: [link(1, 'lo'), link(2, 'eth0'), link(3, 'eth1.7')],
  addresses: [
    held('127.0.0.1', 1),
    held('10.1.0.10', 2, { prefixLength: 24 }),
    held('10.1.0.11', 2, { prefixLength: 24 }),
    held('10.9.0.10', 3, { prefixLength: 24 }),
  ],
}

const rows: readonly { readonly name: string; keys: string[]; want: string[] }[] = [
  {
    name: 'a key without an address stays',
    keys: ['net.ipv4.ip_forward'],
    want: ['net.ipv4.ip_forward'],
  },
  {
    name: 'an address is its interface',
    keys: ['net.ipv4.conf.{10.1.0.10}.send_redirects'],
    want: ['net.ipv4.conf.eth0.send_redirects'],
  },
  {
    name: 'two addresses of one interface are one sysctl',
    keys: ['net.ipv4.conf.{10.1.0.10}.send_redirects', 'net.ipv4.conf.{10.1.0.11}.send_redirects'],
    want: ['net.ipv4.conf.eth0.send_redirects'],
  },
  {
    name: 'a dot in a name is a slash in the key',
    keys: ['net.ipv4.conf.{10.9.0.10}.send_redirects'],
    want: ['net.ipv4.conf.eth1/7.send_redirects'],
  },
  {
    name: 'an address that nobody holds is left out',
    keys: ['net.ipv4.conf.{10.9.9.9}.x'],
    want: [],
  },
]

for (const { name, keys, want } of rows) {
  test(name, () => {
    const sysctls = keys.map((key) => ({ key, value: '0', accept: [] }))
    const placed = placeSysctls({ ...EMPTY_HOST_PART, sysctls }, network)
    assert.deepEqual(
      placed.sysctls.map(({ key }) => key),
      want,
    )
  })
}

test('an address in canonical spelling is found whatever its family', () => {
  const six = { links: network.links, addresses: [held('fd01::10', 2)] }
  const sysctls = [{ key: 'net.ipv6.conf.{fd01::10}.x', value: '0', accept: [] }]
  const [placed] = placeSysctls({ ...EMPTY_HOST_PART, sysctls }, six).sysctls
  assert.equal(placed?.key, 'net.ipv6.conf.eth0.x')
})
