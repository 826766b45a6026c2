/** What is said of one packet: who takes it, who chooses, the hops with their limits, and what is honestly not known. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ip, parseIp, SCHEDULERS, type Scheduler } from '@lvs-fleet/contract'
import fc from 'fast-check'
import { threeSites } from '../../../../../test/fixtures/three-sites.ts'
import { edit, twoSites, type FleetText } from '../../../../../test/fixtures/two-sites.ts'
import type { Fleet } from '../../intent/fleet.ts'
import { compileFleet } from '../compile.ts'
import { explainPacket, type PacketAnswer, type PacketExplanation } from './packet.ts'
import { schedulingVerdict } from './scheduling.ts'

type Asked = {
  director?: string
  vip?: string
  protocol?: 'tcp' | 'udp' | 'sctp'
  port?: number
  firewallMark?: number
  client?: string
}

function ask(asked: Asked, fleet: Fleet = threeSites()): PacketAnswer {
  const question = {
    director: asked.director ?? 'dir-a',
    vip: ip(asked.vip ?? '10.1.0.100'),
    protocol: asked.protocol ?? null,
    port: asked.port ?? null,
    firewallMark: asked.firewallMark ?? null,
    client: asked.client === undefined ? null : ip(asked.client),
  }
  return explainPacket(question, fleet, compileFleet(fleet))
}

function told(asked: Asked, fleet?: Fleet): PacketExplanation {
  const answer = ask(asked, fleet)
  assert.ok(answer.ok, answer.ok ? '' : answer.text)
  return answer.explanation
}

const web = (fields: Record<string, unknown>) =>
  twoSites((text: FleetText) => edit(text, 'virtualServices', 'web-a', fields))

/** `at: source > destination [outer] mtu/mss`, the way a reader follows a packet. */
function hopsTo(realServer: string, explanation: PacketExplanation): string[] {
  const destination = explanation.destinations.find((one) => one.realServer === realServer)
  assert.ok(destination)
  return destination.path.map(({ at, sends }) => {
    if (sends === null) return at
    const { source, destination: to, outer, mtu, mss } = sends
    const around =
      outer === null
        ? ''
        : ` in ${outer.sources.join('|')} > ${outer.destination} ${outer.protocol}${outer.port === null ? '' : `:${outer.port}`}`
    return `${at}: ${source} > ${to}${around} ${mtu?.bytes ?? '?'}/${mss?.bytes ?? '-'}`
  })
}

describe('levels', () => {
  const leveled = () =>
    twoSites((text) => {
      edit(text, 'pools', 'web', { policy: {} })
    })
  const reportOf = (destination: string, weight: number) => ({
    service: 'tcp/10.1.0.100:80',
    destination,
    realServer: 'x',
    weight,
    factors: [],
  })
  const toldWith = (reported: Parameters<typeof explainPacket>[3]) => {
    const fleet = leveled()
    const question = { director: 'dir-a', vip: ip('10.1.0.100'), protocol: null, port: 80 } as const
    const answer = explainPacket(
      { ...question, firewallMark: null, client: null },
      fleet,
      compileFleet(fleet),
      reported,
    )
    assert.ok(answer.ok)
    return answer.explanation
  }

  it('before any report the first level has it all', () => {
    const { scheduling, destinations } = toldWith(null)
    assert.match(scheduling.text, /rs-a1 67 %, rs-a2 33 %;/)
    assert.deepEqual(
      destinations.map(({ level }) => level),
      [0, 0, 1, 1],
    )
  })

  it('after one the kernel has what it says, and intent where it says nothing', () => {
    const { scheduling, destinations } = toldWith([
      reportOf('10.1.0.11:80', 0),
      reportOf('10.2.0.11:80', 25),
      reportOf('10.2.0.12:80', 25),
    ])
    assert.match(scheduling.text, /rs-a2 50 %, rs-b1 25 %, rs-b2 25 %;/)
    assert.deepEqual(
      destinations.map(({ reported }) => reported?.weight),
      [0, undefined, 25, 25],
    )
  })
})

describe('which service takes the packet', () => {
  it('by protocol, address and port', () => {
    const { service, virtualService, takenBecause } = told({ port: 80 })
    assert.deepEqual(
      [service, virtualService, takenBecause],
      ['tcp/10.1.0.100:80', 'shop-a', 'protocol, address and port are its own'],
    )
  })

  it('by the mark of a range, with the port that was asked for', () => {
    const { service, port, takenBecause, destinations } = told(
      { port: 8100 },
      web({ ports: ['8000-8999'] }),
    )
    assert.match(service, /^fwmark\/\d+\/ipv4$/)
    assert.equal(port, 8100)
    assert.match(takenBecause, /nftables on dir-a marks tcp to 10\.1\.0\.100 ports 8000-8999 with/)
    assert.equal(destinations[0]?.port, 8100)
  })

  it('by a mark of the operator, whatever the port', () => {
    const fleet = web({ ports: [], firewallMark: 7 })
    const { service, takenBecause } = told({ firewallMark: 7 }, fleet)
    assert.deepEqual(
      [service, /you mark the packet with 7/.test(takenBecause)],
      ['fwmark/7/ipv4', true],
    )
    const other = twoSites((text) => {
      edit(text, 'virtualServices', 'marked', {
        vips: ['10.1.0.101'],
        firewallMark: 7,
        pool: 'web',
        carriedBy: { sites: ['a'] },
      })
    })
    assert.match(told({ port: 80 }, other).cautions.join(), /mark with 7 goes to marked instead/)
  })

  const NONE: { name: string; asked: Asked; fleet?: Fleet; reason: string; says: RegExp }[] = [
    {
      name: 'an unknown director',
      asked: { director: 'x' },
      reason: 'unknown',
      says: /no director named x/,
    },
    {
      name: 'a VIP of others',
      asked: { vip: '10.2.0.100' },
      reason: 'unknown',
      says: /dir-a carries no .* 10\.2\.0\.100/,
    },
    {
      name: 'a port that nobody has',
      asked: { port: 81 },
      reason: 'unknown',
      says: /no service of dir-a takes port 81/,
    },
    {
      name: 'another protocol',
      asked: { protocol: 'udp', port: 80 },
      reason: 'unknown',
      says: /no service/,
    },
    {
      name: 'a client of the other family',
      asked: { client: 'fd00::1' },
      reason: 'unclear',
      says: /families differ/,
    },
    {
      name: 'two ports, of which none was asked for',
      asked: {},
      fleet: web({ ports: [80, 443] }),
      reason: 'unclear',
      says: /tcp\/10\.1\.0\.100:80 \(web-a\), tcp\/10\.1\.0\.100:443 \(web-a\): say protocol and port/,
    },
  ]
  for (const { name, asked, fleet, reason, says } of NONE) {
    it(`none for ${name}, with what to ask instead`, () => {
      const answer = ask(asked, fleet)
      assert.ok(!answer.ok)
      assert.equal(answer.reason, reason)
      assert.match(answer.text, says)
    })
  }
})

describe('the hops of a packet', () => {
  const outside = told({ port: 80, client: '198.51.100.7' })
  const request = '198.51.100.7 > 10.1.0.100:80'
  const reply = '10.1.0.100:80 > 198.51.100.7'
  const ROWS: { server: string; want: readonly string[] }[] = [
    {
      server: 'rs-a0',
      want: [
        '198.51.100.7: R ?/1460',
        'router: R 1500/1460',
        'dir-a',
        'dir-a: A 1500/-',
        '198.51.100.7',
      ],
    },
    {
      server: 'rs-a1',
      want: [
        '198.51.100.7: R ?/1460',
        'router: R 1500/1460',
        'dir-a: R 1500/1460',
        'rs-a1',
        'rs-a1: A 1500/-',
        '198.51.100.7',
      ],
    },
    {
      server: 'rs-a2',
      want: [
        '198.51.100.7: R ?/1460',
        'router: R 1500/1460',
        'dir-a: 198.51.100.7 > 10.1.0.12:8080 1500/1460',
        'rs-a2: 10.1.0.12:8080 > 198.51.100.7 1500/-',
        'dir-a: A 1500/-',
        '198.51.100.7',
      ],
    },
    {
      server: 'rs-b1',
      want: [
        '198.51.100.7: R ?/1436',
        'router: R 1500/1436',
        'dir-a: R in 10.1.0.10 > 10.2.0.11 47 1476/1436',
        'rs-b1',
        'rs-b1: A 1500/-',
        '198.51.100.7',
      ],
    },
    {
      server: 'rs-c1',
      want: [
        '198.51.100.7: R ?/1328',
        'router: R 1500/1328',
        'dir-a: R in 10.1.0.10 > 10.3.0.11 17:6080 1368/1328',
        'rs-c1',
        'rs-c1: A 1500/-',
        '198.51.100.7',
      ],
    },
    {
      server: 'rs-c2',
      want: [
        '198.51.100.7: R ?/1320',
        'router: R 1500/1320',
        'dir-a: R in fd01::10 > fd03::12 4 1360/1320',
        'rs-c2',
        'rs-c2: A 1500/-',
        '198.51.100.7',
      ],
    },
  ]
  for (const { server, want } of ROWS) {
    it(`to ${server} and back`, () => {
      const wanted = want.map((hop) =>
        hop.replace(': R ', `: ${request} `).replace(': A ', `: ${reply} `),
      )
      assert.deepEqual(hopsTo(server, outside), wanted)
    })
  }

  it('a neighbour of the director needs no router', () => {
    const [first, second] = hopsTo('rs-a1', told({ port: 80, client: '10.1.0.77' }))
    assert.equal(first, '10.1.0.77: 10.1.0.77 > 10.1.0.100:80 1500/1460')
    assert.equal(second, 'dir-a: 10.1.0.77 > 10.1.0.100:80 1500/1460')
  })

  it('IPv6 inside a tunnel has its own protocol number', () => {
    const { destinations } = told({ director: 'dir-b', vip: 'fd02::100', port: 80 })
    const tunnel = destinations.find(({ realServer }) => realServer === 'rs-a1')
    assert.equal(tunnel?.path.find(({ role }) => role === 'director')?.sends?.outer?.protocol, 41)
  })

  it('the device that takes the tunnel off is one that compile gave the real server', () => {
    const fleet = threeSites()
    const { hosts } = compileFleet(fleet)
    for (const server of ['rs-b1', 'rs-c1', 'rs-c2']) {
      const path = outside.destinations.find(({ realServer }) => realServer === server)?.path ?? []
      const takes = path.find(({ role, sends }) => role === 'real-server' && sends === null)?.does
      const [name = ''] = /lvsf-[0-9a-f]{8}/.exec(takes ?? '') ?? []
      const devices = hosts.get(`real-server/${server}`)?.state.devices.map((one) => one.name)
      assert.ok(devices?.includes(name), `${server}: ${takes}`)
    }
  })

  it('no tunnelled segment is larger than the tunnel takes', () => {
    for (const { path } of outside.destinations) {
      for (const { sends } of path) {
        if (sends === null || sends.mtu === null || sends.mss === null) continue
        assert.ok(sends.mss.bytes + 40 <= sends.mtu.bytes)
      }
    }
  })
})

describe('weights and cautions', () => {
  it('the factors multiply to the weight that the kernel gets, with the reason of each 0', () => {
    const fleet = threeSites((text) => {
      edit(text, 'sites', 'b', { state: 'drain' })
      edit(text, 'realServers', 'rs-a1', { state: 'drain' })
    })
    const { destinations } = told({ port: 80 }, fleet)
    const state = compileFleet(fleet).hosts.get('director/dir-a')?.state
    const kernel = state?.services.find(
      ({ name, protocol }) => name === 'shop-a' && protocol === 'tcp',
    )
    for (const { realServer, weight, weightFactors } of destinations) {
      assert.equal(
        weightFactors.reduce((product, { value }) => product * value, 1),
        weight,
      )
      const programmed = kernel?.destinations.find((one) => one.realServer === realServer)
      assert.equal(programmed?.weight, weight)
    }
    const reasons = destinations.flatMap(({ weightFactors }) =>
      weightFactors.filter(({ value }) => value === 0).map(({ because }) => because),
    )
    assert.deepEqual(reasons, ['real server rs-a1 drains', 'site b drains'])
  })

  const cautionsOf = (asked: Asked, server: string) =>
    told(asked)
      .destinations.find(({ realServer }) => realServer === server)
      ?.cautions.join()
  const ROWS: { name: string; asked: Asked; server: string; says: RegExp }[] = [
    {
      name: 'NAT to a neighbour of the client',
      asked: { port: 80, client: '10.1.0.77' },
      server: 'rs-a2',
      says: /past the director: the connection never stands/,
    },
    {
      name: 'a client that has the VIP itself',
      asked: { port: 80, client: '10.1.0.11' },
      server: 'rs-a1',
      says: /its packets never leave it/,
    },
    {
      name: 'UDP in a tunnel',
      asked: { vip: '10.1.0.101' },
      server: 'rs-b1',
      says: /more than 1448 bytes/,
    },
    {
      name: 'a real server without an address of the family',
      asked: { port: 80 },
      server: 'rs-c2',
      says: /needs a route/,
    },
  ]
  for (const { name, asked, server, says } of ROWS) {
    it(name, () => assert.match(cautionsOf(asked, server) ?? '', says))
  }

  it('NAT that returns by SNAT: the director is the client, and only ICMP keeps uploads to a narrow site going', () => {
    const fleet = threeSites((text) => {
      edit(text, 'realServers', 'rs-c1', { natReturn: 'snat' })
      edit(text, 'virtualServices', 'shop-a', { forwarding: 'nat', pool: 'nat' })
      edit(text, 'pools', 'nat', { members: [{ realServer: 'rs-c1', port: 8080 }] })
    })
    const explanation = told({ port: 80, client: '198.51.100.7' }, fleet)
    assert.deepEqual(hopsTo('rs-c1', explanation).slice(2), [
      'dir-a: 10.1.0.10 > 10.3.0.11:8080 1400/1460',
      'rs-c1: 10.3.0.11:8080 > 10.1.0.10 1400/-',
      'dir-a: 10.1.0.100:80 > 198.51.100.7 1500/-',
      '198.51.100.7',
    ])
    const cautions = explanation.destinations[0]?.cautions ?? []
    assert.match(cautions[0] ?? '', /rs-c1 sees dir-a as its client/)
    assert.match(
      cautions[1] ?? '',
      /segments of 1460 bytes do not fit 1400 \(path to c of site a\)/,
    )
    // What SNAT hides from the real server cannot make it answer past the director.
    const neighbour = told({ port: 80, client: '10.3.0.77' }, fleet).destinations[0]?.cautions
    assert.doesNotMatch(neighbour?.join() ?? '', /past the director/)
  })

  it('is silent where nothing surprises', () => {
    const { destinations } = told({ port: 80, client: '198.51.100.7' })
    const cautioned = destinations.filter(({ cautions }) => cautions.length > 0)
    assert.deepEqual(
      cautioned.map(({ realServer }) => realServer),
      ['rs-c2'],
    )
  })

  it('a client on the director itself is no test', () => {
    assert.match(told({ port: 80, client: '10.1.0.10' }).cautions.join(), /no test of dr or tun/)
  })
})

describe('who is kept together', () => {
  it('names the network of the client by the mask of its family', () => {
    assert.equal(
      told({ port: 80, client: '198.51.100.7' }).persistence?.together,
      '198.51.100.0/24',
    )
    const client = '2001:db8:1:2:3::4'
    const { persistence } = told({ vip: 'fd01::100', port: 80, client })
    assert.equal(persistence?.together, '2001:db8:1:2::/64')
    assert.equal(told({ director: 'dir-b', vip: '10.2.0.100', port: 80 }).persistence, null)
  })
})

describe('who chooses', () => {
  const two = [
    { realServer: 'a', weight: 100 },
    { realServer: 'b', weight: 50 },
  ]
  const WANT: Readonly<Record<Scheduler, readonly [decidedBy: string, says: RegExp]>> = {
    rr: ['turn', /a 50 %, b 50 %/],
    wrr: ['turn', /a 67 %, b 33 %/],
    lc: ['load', /fewest connections;/],
    wlc: ['load', /for its weight/],
    sed: ['load', /for its weight/],
    nq: ['load', /for its weight/],
    twos: ['load', /two picked by chance/],
    ovf: ['load', /fewer connections than its weight/],
    sh: ['hash', /client's address:.* refused while that one has weight 0/],
    mh: ['hash', /client's address:.* refused while that one is above its threshold/],
    dh: ['hash', /whoever asks/],
    lblc: ['hash', /whoever asks/],
    lblcr: ['hash', /whoever asks/],
    fo: ['intent', /^fo: a, which has the highest weight, 100/],
  }
  for (const scheduler of SCHEDULERS) {
    it(scheduler, () => {
      const { decidedBy, text, realServer } = schedulingVerdict(scheduler, [], two)
      const [wanted, says] = WANT[scheduler]
      assert.equal(decidedBy, wanted)
      assert.match(text, says)
      assert.equal(realServer, scheduler === 'fo' ? 'a' : null)
      if (scheduler !== 'fo') assert.match(text, /decided by the kernel at that moment$/)
    })
  }

  it('nobody without a weight, and the only one that has a weight; but sh may refuse', () => {
    const drained = two.map((one) => ({ ...one, weight: 0 }))
    assert.equal(schedulingVerdict('wrr', [], drained).decidedBy, 'nobody')
    const one = [
      { realServer: 'a', weight: 0 },
      { realServer: 'b', weight: 1 },
    ]
    assert.equal(schedulingVerdict('wlc', [], one).realServer, 'b')
    assert.equal(schedulingVerdict('sh', [], one).realServer, null)
    assert.equal(
      schedulingVerdict(
        'fo',
        [],
        two.map((each) => ({ ...each, weight: 1 })),
      ).decidedBy,
      'order',
    )
  })
})

describe('whatever is asked', () => {
  it('a client of any address gets the same methods: they are not his affair', () => {
    const methods = ({ destinations }: PacketExplanation) =>
      destinations.map(
        ({ realServer, forwarding, address }) => `${realServer} ${forwarding} ${address}`,
      )
    const wanted = methods(told({ port: 80 }))
    const fleet = threeSites()
    fc.assert(
      fc.property(fc.ipV4(), (client) => {
        fc.pre(parseIp(client) !== undefined)
        const explanation = told({ port: 80, client }, fleet)
        assert.deepEqual(methods(explanation), wanted)
        for (const { path } of explanation.destinations) {
          assert.equal(path[0]?.at, client)
          assert.deepEqual([path.at(-1)?.at, path.at(-1)?.sends], [client, null])
        }
      }),
      { numRuns: 60 },
    )
  })
})
