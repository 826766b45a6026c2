/** What a running agent tells Prometheus, and that rules and dashboard ask for nothing but what it and the API tell. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ip } from '@lvs-fleet/contract'
import { agentMetrics } from '../../services/agent/src/metrics/agent-metrics.ts'
import { stateFamilies, trafficFamilies } from '../../services/agent/src/metrics/families.ts'
import { parseConfig } from '../../services/agent/src/config.ts'
import { fleetFamilies, processFamilies } from '../../services/api/src/status/metric-families.ts'
import { createFakeHost } from '../fakes/fake-host.ts'
import { makeReport } from '../fakes/agent-client.ts'
import { destination, hostState, markService, pathState, service } from '../fakes/states.ts'

test('virtual services and destinations of ours are measured, probes and what is foreign are not', async () => {
  const host = await createFakeHost()
  await host.start()
  const state = hostState(
    [
      service('10.1.0.100', [destination('10.1.0.11', { weight: 7 }), destination('10.1.0.12')]),
      markService(7, [destination('10.1.0.11', { port: 0 })]),
    ],
    { paths: [pathState(1)] },
  )
  await host.offer(await host.controller.publish(state, { generation: 1 }))
  const { kernel, agent } = host
  await kernel.apply([
    {
      kind: 'service.create',
      service: { protocol: 'tcp', address: ip('10.9.9.9'), port: 1 },
      to: { scheduler: 'rr', flags: [], persistence: null },
    },
  ])
  const text = await agentMetrics({ kernel, agent })
  assert.match(text, /^lvsfleet_applied_generation 1$/m)
  assert.match(
    text,
    /^lvsfleet_destination_weight\{virtual_service="vs-10\.1\.0\.100",service="tcp\/10\.1\.0\.100:80",destination="10\.1\.0\.11:80",real_server="rs-10\.1\.0\.11",method="dr"\} 7$/m,
  )
  assert.match(
    text,
    /^lvsfleet_service_connections_total\{virtual_service="mark-7",service="fwmark\/7\/ipv4"\} 0$/m,
  )
  assert.doesNotMatch(text, /10\.9\.9\.9|1291845633/)
  // The format: each family once, with help and type before its samples.
  const names = [...text.matchAll(/^# TYPE (\S+) /gm)].map((match) => match[1])
  assert.equal(new Set(names).size, names.length)
})

test('alert rules and the dashboard ask only for what there is', () => {
  const report = makeReport(1)
  const known = new Set(
    [...stateFamilies(report), ...trafficFamilies([])].map(({ name }) => `lvsfleet_${name}`),
  )
  for (const { name, type } of [...fleetFamilies(NO_FLEET), ...processFamilies(NO_PROCESS)]) {
    known.add(`lvsfleet_api_${name}${type === 'histogram' ? '_bucket' : ''}`)
  }
  for (const file of ['alerts.yaml', 'dashboard.json']) {
    const text = readFileSync(new URL(`../../docs/prometheus/${file}`, import.meta.url), 'utf8')
    const asked = new Set([...text.matchAll(/\blvsfleet_[a-z_]+/g)].map(([name]) => name))
    assert.ok(asked.size >= 5, file)
    assert.deepEqual(
      [...asked].filter((name) => !known.has(name)),
      [],
      file,
    )
  }
})

const NO_FLEET = { revision: 0, hosts: [], realServers: [], eventCount: 0, webhooks: [] }
const NO_PROCESS = {
  requests: [],
  latencies: [],
  buckets: [],
  deliveries: {},
  followers: 0,
  heldPolls: 0,
  pool: { open: 0, idle: 0, waiting: 0 },
  poolMax: 0,
  isDatabaseUp: true,
}

test('where metrics are answered is an address and a port, loopback unless said otherwise, or off', () => {
  const at = (text?: string) =>
    parseConfig(text === undefined ? ['run'] : ['run', '--metrics', text], {}).metrics
  assert.deepEqual(at(), { host: '127.0.0.1', port: 9_614 })
  assert.deepEqual(at('[::1]:9100'), { host: '::1', port: 9_100 })
  assert.equal(at('off'), undefined)
  for (const text of ['9614', 'localhost:9614', '127.0.0.1:0', '127.0.0.1:65536', '::1:9614', '']) {
    assert.throws(() => at(text), /--metrics: .* is neither off nor an address and a port/, text)
  }
})
