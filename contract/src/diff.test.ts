import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ip } from './address.ts'
import { diffHostStates } from './diff.ts'
import {
  EMPTY_HOST_STATE,
  type DestinationState,
  type EndpointService,
  type HostState,
  type ServiceState,
} from './host-state.ts'
import type { Tunnel } from './ipvs.ts'
import { describeOp, describeTunnel } from './op.ts'
import { shrinkOf } from './shrink.ts'

function destination(n: number, fields: Partial<DestinationState> = {}): DestinationState {
  return {
    realServer: `rs-${n}`,
    address: ip(`10.1.0.${n}`),
    port: 80,
    forwarding: { method: 'dr' },
    weight: 100,
    upperThreshold: 0,
    lowerThreshold: 0,
    ...fields,
  }
}

function service(n: number, fields: Partial<EndpointService> = {}): EndpointService {
  return {
    name: 'web',
    protocol: 'tcp',
    address: ip(`10.9.0.${n}`),
    port: 80,
    scheduler: 'wrr',
    flags: [],
    persistence: null,
    drainSeconds: 300,
    destinations: [destination(1), destination(2)],
    ...fields,
  }
}

const state = (...services: ServiceState[]): HostState => ({ ...EMPTY_HOST_STATE, services })
const lines = (desired: HostState, current: HostState) =>
  diffHostStates(desired, current).map(describeOp)

describe('diffHostStates', () => {
  it('of a state with itself is empty', () => {
    assert.deepEqual(lines(state(service(1)), state(service(1))), [])
  })

  it('edits in place what may be edited, and adds before it removes', () => {
    const before = state(service(1))
    const after = state(
      service(1, {
        scheduler: 'rr',
        persistence: { timeoutSeconds: 60, prefixLength: 24, engine: null },
        destinations: [
          destination(1, { weight: 5, forwarding: { method: 'tun', tunnel: { type: 'ipip' } } }),
          destination(3),
        ],
      }),
      service(2, { destinations: [] }),
    )
    assert.deepEqual(lines(after, before), [
      '+ service tcp/10.9.0.2:80 wrr',
      '~ service tcp/10.9.0.1:80 wrr -> rr persistent 60s /24',
      '+ destination tcp/10.9.0.1:80 > 10.1.0.3:80 dr weight 100',
      '~ destination tcp/10.9.0.1:80 > 10.1.0.1:80 dr weight 100 -> tun ipip weight 5',
      '- destination tcp/10.9.0.1:80 > 10.1.0.2:80',
    ])
  })

  it('edits the tunnel of a destination in place, whatever its types and options', () => {
    const tunnels: Tunnel[] = [
      { type: 'ipip' },
      { type: 'gre', checksum: false },
      { type: 'gre', checksum: true },
      { type: 'gue', port: 6080, checksum: 'none' },
      { type: 'gue', port: 6081, checksum: 'none' },
      { type: 'gue', port: 6080, checksum: 'csum' },
      { type: 'gue', port: 6080, checksum: 'remcsum' },
    ]
    const through = (tunnel: Tunnel) =>
      state(
        service(1, { destinations: [destination(1, { forwarding: { method: 'tun', tunnel } })] }),
      )
    for (const from of tunnels) {
      for (const to of tunnels) {
        const edit = `~ destination tcp/10.9.0.1:80 > 10.1.0.1:80 tun ${describeTunnel(from)} weight 100 -> tun ${describeTunnel(to)} weight 100`
        assert.deepEqual(lines(through(to), through(from)), from === to ? [] : [edit])
      }
    }
  })

  it('edits the checksum of a device, and makes one with other ends anew', () => {
    const gre = (remote: string, checksum: boolean): HostState => ({
      ...state(),
      devices: [
        {
          name: `lvsf-${remote}`,
          kind: 'gre',
          local: ip('10.1.0.11'),
          remote: ip(remote),
          checksum,
        },
      ],
    })
    assert.deepEqual(lines(gre('10.1.0.1', true), gre('10.1.0.1', false)), [
      '~ device lvsf-10.1.0.1 gre local 10.1.0.11 remote 10.1.0.1 -> lvsf-10.1.0.1 gre local 10.1.0.11 remote 10.1.0.1 csum',
    ])
    assert.deepEqual(lines(gre('10.1.0.2', false), gre('10.1.0.1', false)), [
      '+ device lvsf-10.1.0.2 gre local 10.1.0.11 remote 10.1.0.2',
      '- device lvsf-10.1.0.1 gre local 10.1.0.11 remote 10.1.0.1',
    ])
  })

  it('never takes a destination that the kernel calls local for a change', () => {
    const local = state(
      service(1, { destinations: [destination(1, { forwarding: { method: 'local' } })] }),
    )
    const direct = state(service(1, { destinations: [destination(1)] }))
    assert.deepEqual(lines(local, direct), [])
    assert.deepEqual(lines(direct, local), [])
  })

  it('builds the ground before the services and takes it away after them', () => {
    const full: HostState = {
      ...state(service(1, { destinations: [] })),
      devices: [{ name: 'lvsfleet0', kind: 'dummy' }],
      guePorts: [{ address: ip('10.1.0.11'), port: 6080 }],
      sysctls: [{ key: 'net.ipv4.conf.all.arp_ignore', value: '1', accept: ['1'] }],
      addresses: [{ address: ip('10.9.0.1'), place: { device: 'lvsfleet0' } }],
      clamps: [{ address: ip('10.9.0.1'), mss: 1440 }],
      sourceNats: [{ vip: ip('10.9.0.1'), server: ip('10.1.0.1') }],
    }
    const order = (ops: string[]) => ops.map((line) => line.split(' ').slice(0, 2).join(' '))
    assert.deepEqual(order(lines(full, EMPTY_HOST_STATE)), [
      '+ device',
      '+ gue',
      '~ sysctl',
      '+ mss',
      '+ address',
      '+ source',
      '+ service',
    ])
    assert.deepEqual(order(lines(EMPTY_HOST_STATE, full)), [
      '- service',
      '- source',
      '- address',
      '- mss',
      '~ sysctl',
      '- gue',
      '- device',
    ])
  })
})

describe('shrinkOf', () => {
  const rows: { name: string; before: ServiceState[]; after: ServiceState[]; held: boolean }[] = [
    { name: 'adding is never held', before: [], after: [service(1)], held: false },
    { name: 'the only service', before: [service(1)], after: [], held: true },
    {
      name: 'one service of four',
      before: [1, 2, 3, 4].map((n) => service(n)),
      after: [1, 2, 3].map((n) => service(n)),
      held: false,
    },
    {
      name: 'two services of four',
      before: [1, 2, 3, 4].map((n) => service(n)),
      after: [1, 2].map((n) => service(n)),
      held: true,
    },
    {
      name: 'half of the destinations of a service',
      before: [service(1)],
      after: [service(1, { destinations: [destination(1)] })],
      held: false,
    },
    {
      name: 'more than half of the destinations of a service',
      before: [service(1, { destinations: [1, 2, 3].map((n) => destination(n)) })],
      after: [service(1, { destinations: [destination(1)] })],
      held: true,
    },
    {
      name: 'the last destination of a service',
      before: [service(1, { destinations: [destination(1)] })],
      after: [service(1, { destinations: [] })],
      held: true,
    },
    {
      name: 'a real server swapped for another',
      before: [service(1, { destinations: [destination(1)] })],
      after: [service(1, { destinations: [destination(9)] })],
      held: true,
    },
  ]
  for (const { name, before, after, held } of rows) {
    it(`${name}: ${held ? 'held' : 'passes'}`, () => {
      const shrink = shrinkOf({ services: before }, { services: after })
      assert.equal(shrink.held, held)
      assert.equal(shrink.detail !== '', held)
    })
  }
})
