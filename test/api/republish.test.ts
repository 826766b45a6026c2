/** After an upgrade: a database whose states are in the format before is served in this one, without anybody's doing. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { canonicalJson, manifestSchema, STATE_FORMAT } from '@lvs-fleet/contract'
import { eq } from 'drizzle-orm'
import { sha256Hex } from '../../services/api/src/identity/secret.ts'
import { hostStates } from '../../services/api/src/store/schema.ts'
import { makeAgentClient, readDocument } from '../fakes/agent-client.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type TestApi } from './harness.ts'

let first: TestApi
before(async () => {
  first = await startTestApi()
  assert.equal((await first.call('PUT', '/v1/fleet', twoSites())).status, 200)
})
after(() => first.close())

/** As version 1 published it: the manifest named the shards themselves. */
async function ageStates(): Promise<void> {
  const { db } = first.deps.database
  for (const row of await db.select().from(hostStates)) {
    const payload = Buffer.from(row.jws.split('.')[1] ?? '', 'base64url').toString()
    const { lists: _, ...manifest } = manifestSchema.parse(JSON.parse(payload))
    const digest = sha256Hex(canonicalJson(row.shards))
    const old = { ...manifest, format: 1, shards: row.shards, digest }
    const jws = await first.deps.controllerKeys.signer.sign(old as never)
    await db.update(hostStates).set({ jws, digest }).where(eq(hostStates.digest, row.digest))
  }
}

async function enrolled(api: TestApi) {
  const made = await api.call('POST', '/v1/join-tokens', {
    role: 'director',
    site: 'site-a',
    name: 'dir-a',
  })
  const agent = makeAgentClient(api.url)
  const identity = await agent.join(made.body.token, { role: 'director', name: 'dir-a' })
  await agent.login()
  return { agent, key: identity.controllerKeys[0] }
}

test('states of an older format are published anew at the start, once, by whichever process is first', async () => {
  const { agent, key } = await enrolled(first)
  assert.ok(key !== undefined)
  const fetchState = async () => readDocument(await (await agent.state()).text(), key)
  const was = await fetchState()
  const revision = (await first.call('GET', '/v1/controller')).body.revision
  await ageStates()

  const upgraded = await Promise.all([
    startTestApi({ beside: first }),
    startTestApi({ beside: first }),
  ])
  try {
    const [second] = upgraded
    await first.deps.live.exclusive(() => first.deps.live.refresh())
    const { manifest, state } = await fetchState()
    assert.equal(manifest.format, STATE_FORMAT)
    assert.deepEqual(
      [manifest.epoch, manifest.generation],
      [was.manifest.epoch, was.manifest.generation + 1],
    )
    assert.deepEqual(state, was.state)
    assert.equal((await second.call('GET', '/v1/controller')).body.revision, revision + 1)
    const audit = (await second.call('GET', '/v1/audit-events?limit=1000')).body.items
    const lines = audit.filter((one: { action: string }) => one.action === 'controller.republish')
    assert.equal(lines.length, 1)
  } finally {
    for (const api of upgraded) await api.close()
  }

  const again = await startTestApi({ beside: first })
  assert.equal((await again.call('GET', '/v1/controller')).body.revision, revision + 1)
  await again.close()
})

test('what cannot be published anew keeps the API from nothing: it starts, and says so', async () => {
  const { db } = first.deps.database
  const [row] = await db.select().from(hostStates).where(eq(hostStates.name, 'dir-a'))
  assert.ok(row !== undefined)
  await ageStates()
  // A shard that got lost: what the host has now cannot be known, so nothing is said of what would go.
  const missing = [{ name: 'host', digest: '0'.repeat(64) }]
  await db.update(hostStates).set({ shards: missing }).where(eq(hostStates.name, 'dir-a'))
  const errors: string[] = []
  const log = {
    info: () => {},
    warn: () => {},
    error: (_: object, message: string) => void errors.push(message),
  }
  const api = await startTestApi({ beside: first, log })
  assert.equal((await api.call('GET', '/v1/hosts')).status, 200)
  assert.match(errors.join(), /cannot be published anew: agents keep what they have/)
  await api.close()
})
