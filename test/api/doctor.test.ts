/** What agents report of kernels and health: kept, shown, filtered, and used before anything is published. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Finding, Role } from '@lvs-fleet/contract'
import { makeAgentClient, makeReport, type AgentClient } from '../fakes/agent-client.ts'
import { ABLE } from '../fakes/patients.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type TestApi } from './harness.ts'
import { runCli } from './run-cli.ts'

let api: TestApi
const agents = new Map<string, AgentClient>()

const HOSTS: readonly (readonly [Role, string, string])[] = [
  ['director', 'site-a', 'dir-a'],
  ['director', 'site-b', 'dir-b'],
  ['real-server', 'site-a', 'rs-a1'],
]

before(async () => {
  api = await startTestApi()
  assert.equal((await api.call('PUT', '/v1/fleet', twoSites())).status, 200)
  for (const [role, site, name] of HOSTS) {
    const made = await api.call('POST', '/v1/join-tokens', { role, site, name })
    const agent = makeAgentClient(api.url)
    await agent.join(made.body.token, { role, name })
    await agent.login()
    agents.set(name, agent)
  }
})
after(() => api.close())

const finding = (check: string, severity: Finding['severity']): Finding => ({
  check,
  severity,
  object: `object of ${check}`,
  found: 'x',
  wanted: 'y',
  why: 'because',
  symptom: 'none',
  commands: ['true'],
  fixable: false,
})

async function report(name: string, seq: number, changed: Parameters<typeof makeReport>[1]) {
  const answer = await agents.get(name)?.report(makeReport(seq, changed))
  assert.equal(answer?.status, 204)
}

const namesOf = (answer: { body: { items: { name: string; check: string }[] } }): string[] =>
  answer.body.items.map((item) => `${item.name} ${item.check}`)

test('findings of all hosts come broken first, in pages, by host and by severity', async () => {
  await report('rs-a1', 1, {
    doctor: { findings: [finding('a', 'broken'), finding('b', 'risk')], findingCount: 2 },
  })
  await report('dir-b', 1, { doctor: { findings: [finding('c', 'broken')], findingCount: 1 } })
  await report('dir-a', 1, { doctor: { findings: [], findingCount: 0 } })
  const all = await api.call('GET', '/v1/doctor')
  assert.deepEqual(namesOf(all), ['dir-b c', 'rs-a1 a', 'rs-a1 b'])
  assert.equal(all.body.items[0].site, 'site-b')
  const first = await api.call('GET', '/v1/doctor?limit=2')
  assert.deepEqual(namesOf(first), ['dir-b c', 'rs-a1 a'])
  const rest = await api.call('GET', `/v1/doctor?limit=2&cursor=${first.body.nextCursor}`)
  assert.deepEqual([namesOf(rest), rest.body.nextCursor], [['rs-a1 b'], null])
  assert.deepEqual(namesOf(await api.call('GET', '/v1/doctor?severity=risk')), ['rs-a1 b'])
  assert.deepEqual(namesOf(await api.call('GET', '/v1/doctor?name=dir-b')), ['dir-b c'])
  assert.deepEqual(namesOf(await api.call('GET', '/v1/doctor?role=real-server')), [
    'rs-a1 a',
    'rs-a1 b',
  ])
  assert.equal((await api.call('GET', '/v1/doctor?severity=bad')).status, 400)
  assert.equal((await api.call('GET', '/v1/doctor?host=dir-b')).status, 400)
})

test('what a healthy host found goes away with its next report', async () => {
  await report('dir-b', 2, { doctor: { findings: [], findingCount: 0 } })
  assert.deepEqual(namesOf(await api.call('GET', '/v1/doctor?role=director')), [])
})

test('a report of an agent that knows neither is taken', async () => {
  const { capabilities: _, doctor: __, ...old } = makeReport(3)
  const answer = await agents.get('dir-b')?.report(old as ReturnType<typeof makeReport>)
  assert.equal(answer?.status, 204)
  const host = await api.call('GET', '/v1/hosts/director/dir-b')
  assert.deepEqual([host.body.capabilities, host.body.report.doctor], [null, null])
})

test("what a director's kernel has not is refused with the reason, and only there", async () => {
  const change = (service: string, scheduler: string) =>
    api.call('PATCH', `/v1/virtual-services/${service}?force=true`, { scheduler })
  // Nothing known: allowed.
  assert.equal((await change('web', 'mh')).status, 200)
  assert.equal((await change('web', 'wrr')).status, 200)

  const capabilities = { ...ABLE, schedulers: { ...ABLE.schedulers, mh: 'no' as const } }
  await report('dir-a', 2, { capabilities })
  assert.deepEqual(
    (await api.call('GET', '/v1/hosts?role=director')).body.items[0].capabilities.schedulers.mh,
    'no',
  )
  const refused = await change('web', 'mh')
  assert.equal(refused.status, 422)
  assert.equal(refused.body.errors[0].pointer, '/scheduler')
  assert.match(
    refused.body.errors[0].message,
    /^director dir-a: its kernel 6\.1\.0-test has no scheduler mh: choose another/,
  )
  // The other director said nothing of the kind.
  assert.equal((await change('db', 'mh')).status, 200)
  const dry = await api.call('PATCH', '/v1/virtual-services/web?force=true&dryRun=true', {
    scheduler: 'mh',
  })
  assert.equal(dry.status, 422)
})

test('a kernel that lost what is in use warns and does not stand in the way', async () => {
  const lost = {
    ...ABLE,
    schedulers: { wrr: 'no' as const, wlc: 'no' as const, rr: 'no' as const },
  }
  await report('dir-a', 3, { capabilities: lost })
  const weight = await api.call('PATCH', '/v1/pools/web?force=true&dryRun=true', {
    members: [{ realServer: 'rs-a1', weight: 7 }],
  })
  assert.equal(weight.status, 200, weight.text)
  assert.match(weight.body.warnings[0].message, /director dir-a: its kernel .* no scheduler wrr/)
})

test('a path that carries less than was computed is an alarm of its director, in the API and to operators', async () => {
  const narrow = {
    realServer: 'rs-b1',
    path: 'ipv4 to 10.2.0.11 by tun ipip',
    vip: '10.1.0.100',
    mtu: 1480,
    carries: 1380,
  }
  const paths = { narrow: [narrow], narrowCount: 1, fittingCount: 7, unknownCount: 2 }
  await report('dir-b', 4, { paths })
  const { body } = await api.call('GET', '/v1/hosts/director/dir-b')
  assert.deepEqual(body.paths, paths)
  const alarm = body.conditions.find((one: { type: string }) => one.type === 'mtu-too-small')
  assert.deepEqual(alarm, {
    type: 'mtu-too-small',
    status: true,
    message: 'path to rs-b1 (ipv4 to 10.2.0.11 by tun ipip) carries 1380 of 1480 bytes',
  })
  const env = { LVSFLEET_API: api.url, LVSFLEET_KEY: api.adminKey }
  assert.match((await runCli(['status'], '', env)).stdout, /dir-b .*mtu-too-small: path to rs-b1/)
  assert.match((await runCli(['hosts'], '', env)).stdout, /dir-b .*7 fit, 1 too small, 2 unknown/)

  await report('dir-b', 5, { paths: { ...paths, narrow: [], narrowCount: 0, fittingCount: 8 } })
  assert.doesNotMatch((await runCli(['status'], '', env)).stdout, /mtu-too-small/)
})
