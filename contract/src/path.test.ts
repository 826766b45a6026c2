import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ip } from './address.ts'
import { isProbe, isProbeKey, serviceKey, type ServiceRef } from './host-state.ts'
import { describeOp } from './op.ts'
import { pathKey, pathKeyOf } from './path.ts'

describe('paths', () => {
  it('are named by family, address, port where it is translated, and method', () => {
    const rows = [
      [
        {
          family: 'ipv6',
          address: ip('10.2.0.11'),
          port: 0,
          forwarding: { method: 'tun', tunnel: { type: 'gre', checksum: true } },
        },
        'ipv6 to 10.2.0.11 by tun gre csum',
      ],
      [
        { family: 'ipv4', address: ip('10.1.0.11'), port: 8080, forwarding: { method: 'nat' } },
        'ipv4 to 10.1.0.11:8080 by nat',
      ],
      [
        { family: 'ipv6', address: ip('fd01::11'), port: 8080, forwarding: { method: 'nat' } },
        'ipv6 to [fd01::11]:8080 by nat',
      ],
    ] as const
    for (const [path, want] of rows) assert.equal(pathKey(path), want)
  })

  it('are told from what clients address by their mark, in services and in keys', () => {
    const marked = (firewallMark: number): ServiceRef => ({
      protocol: 'fwmark',
      firewallMark,
      family: 'ipv4',
    })
    const rows: [ServiceRef, boolean][] = [
      [marked(0x4cff_ffff), false],
      [marked(0x4d00_0000), true],
      [marked(0x4dff_ffff), true],
      [marked(0x4e00_0000), false],
      [marked(7), false],
      [{ protocol: 'tcp', address: ip('10.1.0.100'), port: 80 }, false],
      [{ protocol: 'udp', address: ip('fd01::100'), port: 53 }, false],
    ]
    for (const [ref, want] of rows) {
      assert.deepEqual([isProbe(ref), isProbeKey(serviceKey(ref))], [want, want], serviceKey(ref))
    }
  })

  it('serve every port of a VIP that keeps its port', () => {
    const tun = {
      address: ip('10.2.0.11'),
      forwarding: { method: 'tun', tunnel: { type: 'ipip' } },
    } as const
    const nat = { address: ip('10.1.0.11'), forwarding: { method: 'nat' } } as const
    const web = (port: number): ServiceRef => ({ protocol: 'tcp', address: ip('10.1.0.100'), port })
    const marked: ServiceRef = { protocol: 'fwmark', firewallMark: 7, family: 'ipv6' }
    const rows = [
      [web(80), { ...tun, port: 80 }, 'ipv4 to 10.2.0.11 by tun ipip'],
      [web(443), { ...tun, port: 443 }, 'ipv4 to 10.2.0.11 by tun ipip'],
      [marked, { ...tun, port: 0 }, 'ipv6 to 10.2.0.11 by tun ipip'],
      [web(80), { ...nat, port: 80 }, 'ipv4 to 10.1.0.11 by nat'],
      [web(80), { ...nat, port: 8080 }, 'ipv4 to 10.1.0.11:8080 by nat'],
      [marked, { ...nat, port: 9000 }, 'ipv6 to 10.1.0.11:9000 by nat'],
    ] as const
    for (const [service, destination, want] of rows) {
      assert.equal(pathKeyOf(service, destination), want)
    }
  })

  it('are called probes where people read of changes', () => {
    const service: ServiceRef = { protocol: 'fwmark', firewallMark: 0x4d00_0000, family: 'ipv4' }
    assert.equal(describeOp({ kind: 'service.remove', service }), '- probe fwmark/1291845632/ipv4')
  })
})
