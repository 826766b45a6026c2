import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  bytesToIp,
  cidrContains,
  compareIps,
  formatCidr,
  ip,
  ipToBytes,
  networkOf,
  parseCidr,
  parseIp,
} from './address.ts'

const SPELLINGS: [text: string, canonical: string | undefined][] = [
  ['10.0.0.1', '10.0.0.1'],
  ['010.0.0.1', undefined],
  ['10.0.0', undefined],
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['10.0.0.256', undefined],
  ['10.0.0.1000', undefined],
  ['10.0.0.1.', undefined],
  ['10.0.0.1.2', undefined],
  ['10..0.1', undefined],
  ['.10.0.1', undefined],
  ['10.0.0.00', undefined],
  ['10.0.0.-1', undefined],
  ['10.0.0.1 ', undefined],
  ['10.0.0.1/8', undefined],
  ['', undefined],
  ['::', '::'],
  ['::1', '::1'],
  ['FD00:0:0:0:0:0:0:1', 'fd00::1'],
  // RFC 5952 section 4.2: no `::` for one group, the longest run, the first of equal ones.
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['::ffff:10.0.0.1', '::ffff:a00:1'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['1::2::3', undefined],
  ['1:2:3:4:5:6:7', undefined],
  ['1:2:3:4:5:6:7:8:9', undefined],
  ['12345::', undefined],
  ['fe80::1%eth0', undefined],
  [':1', undefined],
]

describe('parseIp', () => {
  for (const [text, canonical] of SPELLINGS) {
    it(`'${text}' is ${canonical ?? 'no address'}`, () => assert.equal(parseIp(text), canonical))
  }

  it('gives back what bytes say, whatever the bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    )
    fc.assert(
      fc.property(bytes, (raw) => {
        const text = bytesToIp(raw)
        assert.equal(parseIp(text), text)
        assert.deepEqual(ipToBytes(text), raw)
      }),
    )
  })
})

describe('networks', () => {
  it('refuses host bits and impossible lengths', () => {
    assert.equal(parseCidr('10.1.2.3/16'), undefined)
    assert.equal(parseCidr('10.1.0.0/33'), undefined)
    assert.equal(parseCidr('fd00::1/64'), undefined)
    assert.deepEqual(parseCidr('10.1.0.0/16'), { base: '10.1.0.0', prefixLength: 16 })
  })

  it('contains its own addresses and none of the other family', () => {
    const cidr = { base: ip('10.1.0.128'), prefixLength: 25 }
    assert.equal(cidrContains(cidr, ip('10.1.0.129')), true)
    assert.equal(cidrContains(cidr, ip('10.1.0.127')), false)
    assert.equal(cidrContains({ base: ip('0.0.0.0'), prefixLength: 0 }, ip('::1')), false)
  })

  it('cuts an address down to its network, at any bit', () => {
    const rows = [
      ['198.51.100.7', 24, '198.51.100.0/24'],
      ['198.51.100.255', 25, '198.51.100.128/25'],
      ['198.51.100.7', 32, '198.51.100.7/32'],
      ['198.51.100.7', 1, '128.0.0.0/1'],
      ['2001:db8:1:2:3::4', 63, '2001:db8:1:2::/63'],
      ['2001:db8::1', 128, '2001:db8::1/128'],
    ] as const
    for (const [address, prefixLength, want] of rows) {
      const cidr = networkOf(ip(address), prefixLength)
      assert.equal(formatCidr(cidr), want)
      assert.deepEqual(parseCidr(want), cidr)
      assert.equal(cidrContains(cidr, ip(address)), true)
    }
  })

  it('orders IPv4 before IPv6 and then by value, not by text', () => {
    const sorted = [ip('fd00::2'), ip('10.0.0.10'), ip('fd00::10'), ip('10.0.0.9')].toSorted(
      compareIps,
    )
    assert.deepEqual(sorted, ['10.0.0.9', '10.0.0.10', 'fd00::2', 'fd00::10'])
  })
})
