import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { makeAgentClient, makeReport, readDocument } from '../fakes/agent-client.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type TestApi } from './harness.ts'

let api: TestApi
before(async () => {
  api = await startTestApi()
})
after(() => api.close())

test('a host enrols, logs in, fetches its signed state and reports', async () => {
  const applied = await api.call('PUT', '/v1/fleet', twoSites())
  assert.equal(applied.status, 200, applied.text)
  assert.equal(applied.body.revision, 1)
  const made = await api.call('POST', '/v1/join-tokens', {
    role: 'director',
    site: 'site-a',
    name: 'dir-a',
  })
  assert.equal(made.status, 201, made.text)
  const agent = makeAgentClient(api.url)
  const enrolled = await agent.join(made.body.token, { role: 'director', name: 'dir-a' })
  assert.equal(enrolled.audience, 'test-fleet')
  await agent.login()
  const answer = await agent.state()
  assert.equal(answer.status, 200)
  const [key] = enrolled.controllerKeys
  assert.ok(key)
  const { manifest, state } = await readDocument(await answer.text(), key)
  assert.equal(manifest.host.id, enrolled.hostId)
  assert.deepEqual(
    state.services.map((service) => service.name),
    ['web'],
  )
  const etag = answer.headers.get('etag') ?? ''
  assert.equal((await agent.state({ etag })).status, 304)
  const { epoch, generation, digest } = manifest
  assert.equal(
    (await agent.report(makeReport(1, { applied: { epoch, generation, digest } }))).status,
    204,
  )
  const host = await api.call('GET', '/v1/hosts/director/dir-a')
  assert.equal(host.body.conditions[0].status, true, host.text)
})
