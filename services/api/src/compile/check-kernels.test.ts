/** What a director's kernel would refuse or misroute is refused before; what is not known is allowed. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { unknownCapabilities, type Capabilities, type HostState } from '@lvs-fleet/contract'
import { destination, hostState, markService, service } from '../../../../test/fakes/states.ts'
import { twoSites } from '../../../../test/fixtures/two-sites.ts'
import { kernelProblems, splitKernelProblems } from './check-kernels.ts'
import { compileFleet } from './compile.ts'
import { DESTINATION_RULES, SERVICE_RULES } from './kernel-rules.ts'

const UNKNOWN = unknownCapabilities('4.19.0-old')
const director = (state: HostState) => [{ role: 'director', name: 'dir-a', state }]
const problemsOf = (state: HostState, kernel?: Capabilities) =>
  kernelProblems(director(state), new Map(kernel === undefined ? [] : [['dir-a', kernel]]))
const tun = { method: 'tun', tunnel: { type: 'ipip' } } as const
const vip = '10.1.0.100'
const one = (fields: Parameters<typeof destination>[1], address = '10.1.0.11') =>
  hostState([service(vip, [destination(address, fields)])])
const persistence = { timeoutSeconds: 60, prefixLength: 32, engine: null }

const ROWS: {
  rule: string
  state: HostState
  kernel?: Capabilities
  want: RegExp
  pointer: string
}[] = [
  {
    rule: 'scheduler-missing',
    state: hostState([service(vip, [], { scheduler: 'mh' })]),
    kernel: { ...UNKNOWN, schedulers: { mh: 'no' } },
    want: /^director dir-a: its kernel 4\.19\.0-old has no scheduler mh: choose another, or install module ip_vs_mh/,
    pointer: 'scheduler',
  },
  {
    rule: 'one-packet-tcp',
    state: hostState([service(vip, [], { flags: ['one-packet'] })]),
    want: /one-packet scheduling of tcp is ignored/,
    pointer: 'flags',
  },
  {
    rule: 'one-packet-persistent',
    state: hostState([service(vip, [], { protocol: 'udp', flags: ['one-packet'], persistence })]),
    want: /exclude each other/,
    pointer: 'persistence',
  },
  {
    rule: 'hash-flag',
    state: hostState([service(vip, [], { flags: ['port'] })]),
    want: /belong to schedulers sh and mh: wrr ignores them/,
    pointer: 'flags',
  },
  {
    rule: 'netmask-ipv6',
    state: hostState([service(vip, [], { persistence: { ...persistence, prefixLength: 64 } })]),
    want: /64 of 32 bits/,
    pointer: 'persistence',
  },
  {
    rule: 'family-mix',
    state: one({}, 'fd01::11'),
    want: /dr cannot reach fd01::11 for 10\.1\.0\.100: only tun/,
    pointer: 'pool',
  },
  {
    rule: 'tunnel-missing',
    state: one({ forwarding: tun }),
    kernel: { ...UNKNOWN, tunnels: { ipip: 'no' } },
    want: /its kernel 4\.19\.0-old cannot tunnel by ipip/,
    pointer: 'pool',
  },
  {
    rule: 'port-translation',
    state: one({ port: 8080, forwarding: tun }),
    want: /tun cannot translate port 80 to 8080/,
    pointer: 'pool',
  },
  {
    rule: 'one-packet-nat',
    state: hostState([
      service(vip, [destination('10.1.0.11', { forwarding: { method: 'nat' } })], {
        protocol: 'udp',
        flags: ['one-packet'],
      }),
    ]),
    want: /nat cannot translate answers of one-packet scheduling back: use dr or tun/,
    pointer: 'pool',
  },
  {
    rule: 'threshold-order',
    state: one({ lowerThreshold: 5 }),
    want: /lowerThreshold 5 is above upperThreshold 0, which 0 does not lift/,
    pointer: 'pool',
  },
  {
    rule: 'not-unicast',
    state: one({}, '224.0.0.1'),
    want: /224\.0\.0\.1 is no unicast address/,
    pointer: 'pool',
  },
  {
    rule: 'loopback-nat',
    state: one({ forwarding: { method: 'nat' } }, '127.0.0.1'),
    want: /never answers clients of other hosts/,
    pointer: 'pool',
  },
  {
    rule: 'destination-twice',
    state: hostState([service(vip, [destination('10.1.0.11'), destination('10.1.0.11')])]),
    want: /twice: list it once/,
    pointer: 'pool',
  },
]

describe('a director is refused', () => {
  for (const { rule, state, kernel, want, pointer } of ROWS) {
    it(rule, () => {
      const problems = problemsOf(state, kernel)
      assert.equal(problems.length, 1, JSON.stringify(problems))
      assert.match(problems[0]?.message ?? '', want)
      assert.deepEqual(
        [problems[0]?.code, problems[0]?.pointer],
        ['kernel-refuses', `/virtualServices/vs-${vip}/${pointer}`],
      )
    })
  }

  it('each rule has a row', () => {
    const named = new Set(ROWS.map(({ rule }) => rule))
    const rules = [...SERVICE_RULES, ...DESTINATION_RULES].map(({ id }) => id)
    assert.deepEqual(
      rules.filter((id) => !named.has(id)),
      [],
    )
  })
})

describe('a director is allowed', () => {
  it('a mark whose destinations keep the port of the client, each packet scheduled by itself', () => {
    const end = destination('10.1.0.11', { port: 0 })
    const marked = markService(7, [end], { flags: ['one-packet'] })
    assert.deepEqual(problemsOf(hostState([marked])), [])
  })

  it('all that two healthy sites want, on kernels of which nothing is known', () => {
    const { hosts } = compileFleet(twoSites())
    assert.deepEqual(kernelProblems(hosts.values(), new Map()), [])
    assert.deepEqual(kernelProblems(hosts.values(), new Map([['dir-a', UNKNOWN]])), [])
  })

  it('what another director has not', () => {
    const state = hostState([service(vip, [], { scheduler: 'mh' })])
    const kernels = new Map([['dir-b', { ...UNKNOWN, schedulers: { mh: 'no' as const } }]])
    assert.deepEqual(kernelProblems(director(state), kernels), [])
  })

  it('a tunnel that changes the family', () => {
    const mixed = hostState([
      service(vip, [destination('fd02::11', { forwarding: tun })]),
      service('fd01::100', [destination('10.2.0.11', { forwarding: tun })]),
    ])
    assert.deepEqual(problemsOf(mixed), [])
  })
})

it('what stood before a kernel lost it warns, and only what is new refuses', () => {
  const kernels = new Map([['dir-a', { ...UNKNOWN, schedulers: { mh: 'no' as const } }]])
  const before = hostState([service(vip, [], { scheduler: 'mh' })])
  const after = hostState([
    service(vip, [destination('10.1.0.12')], {
      scheduler: 'mh',
    }),
    service('10.1.0.101', [], { scheduler: 'mh' }),
  ])
  const split = splitKernelProblems(director(before), director(after), kernels)
  const names = (list: readonly { name: string }[]) => list.map(({ name }) => name)
  assert.deepEqual(
    [names(split.problems), names(split.warnings)],
    [['vs-10.1.0.101'], [`vs-${vip}`]],
  )
})

it('a kernel that is another one by now is asked anew, though the services are the same', () => {
  const state = hostState([service(vip, [], { scheduler: 'mh' })])
  const counts = (['no', 'yes', 'no'] as const).map((mh) => {
    const found = problemsOf(state, { ...UNKNOWN, schedulers: { mh } })
    return found.length
  })
  assert.deepEqual(counts, [1, 0, 1])
  assert.deepEqual(problemsOf(state), [])
})
