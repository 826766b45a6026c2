/**
 * NAT whose replies return by SNAT: real servers of both sites, routed as they always were and without an agent,
 * answer through a director that is nobody's gateway.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { eventually } from './eventually.ts'
import { FleetLab, twoSiteIntent } from './fleet-lab.ts'

const SERVERS = ['rs-a1', 'rs-b1'] as const
const VIPS = [
  { family: 'IPv4', vip: '10.1.0.100', url: 'http://10.1.0.100/', director: '10.1.0.10' },
  { family: 'IPv6', vip: 'fd01::100', url: 'http://[fd01::100]/', director: 'fd01::10' },
] as const
const UPLOAD = 1_000_000

describe('NAT with SNAT', () => {
  let fleet: FleetLab

  before(async () => {
    fleet = await FleetLab.start()
    for (const name of SERVERS) {
      await fleet.lab.serve(name, { ports: [8080] })
      await fleet.lab.serveUdp(name, { port: 8053 })
    }
    await fleet.applyIntent(intentOf('snat'))
    await fleet.startAgent('dir-a')
    await fleet.converged(['dir-a'])
  })
  after(async () => fleet.stop())

  for (const { family, vip, url, director } of VIPS) {
    for (const client of ['cl-a', 'cl-b'] as const) {
      it(`${client} is answered over ${family} from both sites on another port, with the director as the client`, async () => {
        assert.deepEqual(
          await fleet.lab.get(client, { url, n: 4 }),
          Object.fromEntries(SERVERS.map((name) => [`${name}:8080 from=${director}`, 2])),
        )
      })
    }

    it(`an upload of a megabyte over ${family} reaches both`, async () => {
      assert.deepEqual(
        await fleet.lab.get('cl-a', { url, n: 2, par: 1, upload: UPLOAD, timeoutMs: 15_000 }),
        Object.fromEntries(
          SERVERS.map((name) => [`${name}:8080 from=${director} got=${UPLOAD}`, 1]),
        ),
      )
    })

    it(`datagrams over ${family} reach both`, async () => {
      assert.deepEqual(
        await fleet.lab.udp('cl-a', { address: vip, port: 53, n: 4, timeoutMs: 3000 }),
        Object.fromEntries(SERVERS.map((name) => [`${name}:8053 from=${director}`, 2])),
      )
    })
  }

  it('leaves alone what the director sends or forwards by itself', async () => {
    const rules = await fleet.lab.sh('dir-a', 'nft list ruleset')
    assert.match(rules, /ct original ip daddr \. ip daddr @sources masquerade/)
    // Straight to the real server with the director as a router: the client keeps its address.
    await fleet.lab.sh('rt-a', 'ip route add 10.1.0.11/32 via 10.1.0.10')
    const passing = await fleet.lab.capture('dir-a', { filter: 'dst host 10.1.0.11 and tcp' })
    const answers = await fleet.lab.get('cl-a', { url: 'http://10.1.0.11:8080/', n: 2 })
    assert.ok((await passing.stop()).length > 0, 'it went through the director')
    await fleet.lab.sh('rt-a', 'ip route del 10.1.0.11/32 via 10.1.0.10')
    assert.deepEqual(answers, { 'rs-a1:8080 from=10.1.9.2': 2 })
  })

  it('repairs the rules when somebody takes them away', async () => {
    await fleet.lab.sh('dir-a', 'nft delete table ip lvsfleet-nat')
    await eventually(
      async () => {
        const answers = await fleet.lab.get('cl-b', { url: VIPS[0].url, n: 2 })
        assert.equal(answers['rs-b1:8080 from=10.1.0.10'], 1, JSON.stringify(answers))
      },
      { withinMs: 60_000 },
    )
  })

  it('is refused without SNAT, and says what would help', async () => {
    const { status, text } = await refusal(fleet, intentOf('gateway'))
    assert.equal(status, 422)
    assert.match(
      text,
      /replies of rs-b1 do not return through dir-a .*natReturn snat would make them/,
    )
  })

  it('takes rules and sysctl back when the intent goes', async () => {
    await fleet.applyIntent({ ...intentOf('snat'), virtualServices: {} }, '?allowShrink=true')
    await fleet.converged(['dir-a'])
    await eventually(async () => {
      assert.doesNotMatch(await fleet.lab.sh('dir-a', 'nft list tables'), /lvsfleet/)
      assert.equal(await fleet.lab.sh('dir-a', 'sysctl -n net.ipv4.vs.conntrack'), '0\n')
    })
  })
})

function intentOf(natReturn: 'gateway' | 'snat') {
  const document = twoSiteIntent()
  const { realServers = {}, virtualServices = {} } = document
  for (const name of SERVERS) realServers[name] = { ...realServers[name], natReturn }
  const member = (port: number) => SERVERS.map((realServer) => ({ realServer, port }))
  const web = { ...virtualServices['web-a'], scheduler: 'rr', drainSeconds: 0 }
  // Not one-packet scheduling: a director of NAT must remember the connection to translate its answer.
  const dns = { ...web, protocol: 'udp', ports: [53], pool: 'dns' }
  return {
    ...document,
    pools: { web: { members: member(8080) }, dns: { members: member(8053) } },
    virtualServices: { 'web-a': web, 'dns-a': dns },
  }
}

async function refusal(fleet: FleetLab, document: unknown) {
  const answer = await fleet.controller.request('PUT', '/v1/fleet?dryRun=true', document)
  return { status: answer.status, text: await answer.text() }
}
