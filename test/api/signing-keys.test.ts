/** The key that signs states is replaced: agents follow what is announced by a key they trust, and refuse all else. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { enrolAnswerSchema, type KeyList, type TokenAnswer } from '@lvs-fleet/contract'
import { parseEnv } from '../../services/api/src/env.ts'
import { newSigningKey } from '../../services/api/src/identity/signing-key.ts'
import { loadIdentity } from '../../services/agent/src/control-plane/identity.ts'
import { openTrust } from '../../services/agent/src/control-plane/trust.ts'
import { createStateStore } from '../../services/agent/src/state/store.ts'
import { verifyDocument } from '../../services/agent/src/state/verify.ts'
import { makeAgentClient, type AgentClient } from '../fakes/agent-client.ts'
import { createFakeDisk } from '../fakes/fake-disk.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type JsonBody, type TestApi } from './harness.ts'

let api: TestApi
let other: TestApi
let count = 0
before(async () => {
  api = await startTestApi()
  other = await startTestApi({ beside: api })
  assert.equal((await api.call('PUT', '/v1/fleet', twoSites())).status, 200)
})
after(async () => {
  await other.close()
  await api.close()
})

async function newAgent(name: string) {
  const client = makeAgentClient(api.url)
  const made = await api.call('POST', '/v1/join-tokens', {
    role: 'real-server',
    site: 'site-a',
    name,
  })
  const identity = await client.join(made.body.token, {
    role: 'real-server',
    name,
    addresses: [`10.1.3.${++count}`],
  })
  const disk = createFakeDisk()
  return { client, disk, trust: openTrust({ identity, disk, log: () => undefined }) }
}
type TestAgent = Awaited<ReturnType<typeof newAgent>>

async function keyLists(client: AgentClient): Promise<string[]> {
  const answer = await client.requestToken(await client.assertion())
  assert.equal(answer.status, 200)
  const body = (await answer.json()) as TokenAnswer
  return body.key_lists ?? []
}

/** What the agent says to the state that is published now. */
async function judge({ client, trust }: TestAgent): Promise<string> {
  await client.login()
  const text = await (await client.state()).text()
  const verdict = await verifyDocument(text.split('\n'), {
    controllerKeys: trust.wire.controllerKeys,
    hostId: trust.wire.hostId,
    current: null,
    held: new Map(),
    findShard: async () => undefined,
  })
  return verdict.is === 'rejected' ? verdict.rejection.code : verdict.is
}

const step = async (name: string): Promise<JsonBody> => {
  const answer = await api.call('POST', `/v1/controller/keys/${name}`)
  return answer.status === 200 ? answer.body : `${answer.status} ${answer.body.code}`
}

describe('the signing key', () => {
  test('is announced, switched to and retired; who follows takes states at each step', async () => {
    const follower = await newAgent('rs-a1')
    const away = await newAgent('rs-a2')
    assert.deepEqual(await keyLists(follower.client), [])
    assert.equal(await judge(follower), 'good')
    assert.equal(await step('switch'), '409 conflict')
    assert.equal(await step('retire'), '409 conflict')

    const announced = await step('announce')
    assert.equal(announced.keys.length, 2)
    const first = announced.signing
    assert.equal(await step('announce'), '409 conflict')
    assert.equal(await step('retire'), '409 conflict')
    await follower.trust.learn(await keyLists(follower.client))
    assert.equal(follower.trust.wire.controllerKeys.length, 2)
    assert.equal(await judge(follower), 'good')

    const switched = await step('switch')
    assert.notEqual(switched.signing, first)
    assert.equal(switched.epoch, announced.epoch + 1)
    assert.equal(await step('switch'), '409 conflict')
    assert.equal(await judge(follower), 'good')
    assert.equal(await judge(away), 'bad-signature', 'a key that it was not told of')

    const put = await other.call(
      'PATCH',
      '/v1/real-servers/rs-a1?force=true',
      { labels: { a: 'b' } },
      {
        'content-type': 'application/merge-patch+json',
      },
    )
    assert.equal(put.status, 200, put.text)
    assert.equal(await judge(follower), 'good', 'the other process signs with the new key too')

    const retired = await step('retire')
    assert.deepEqual([retired.keys.length, retired.keySerial], [1, 3])
    await follower.trust.learn(await keyLists(follower.client))
    assert.equal(follower.trust.wire.controllerKeys.length, 1)
    assert.equal(await judge(follower), 'good')

    // Who was away for all of it follows the lists one by one.
    await away.trust.learn(await keyLists(away.client))
    assert.equal(await judge(away), 'good')
    const kept = await loadIdentity(away.disk)
    assert.equal(kept?.keySerial, 3)
    assert.equal(kept?.formerKeys?.length, 1)

    // Who enrols now is told the new key alone, and a restart finds it.
    const late = await newAgent('rs-a3')
    assert.equal(late.trust.wire.controllerKeys.length, 1)
    assert.equal(await judge(late), 'good')
    const restarted = await startTestApi({ beside: api })
    assert.equal(restarted.deps.controllerKeys.signer.thumbprint, retired.signing)
    await restarted.close()
    const audit = (await api.call('GET', '/v1/audit-events?limit=50')).body.items
    const actions = audit.map((one: JsonBody) => one.action)
    for (const name of ['announce', 'switch', 'retire'])
      assert.ok(actions.includes(`controller.${name}-key`), name)

    // And once more, from the key that took over.
    for (const name of ['announce', 'switch', 'retire'])
      assert.equal(typeof (await step(name)), 'object')
    await follower.trust.learn(await keyLists(follower.client))
    assert.equal(await judge(follower), 'good')
  })

  const refused: [string, (trusted: ReturnType<typeof newSigningKey>) => Promise<string>][] = [
    [
      'a list by a stranger',
      async () => {
        const { signer } = newSigningKey()
        return signer.signKeyList(listOf(5, signer.publicKey))
      },
    ],
    [
      'an older list',
      ({ signer }) => signer.signKeyList(listOf(2, newSigningKey().signer.publicKey)),
    ],
    [
      'the same serial',
      ({ signer }) => signer.signKeyList(listOf(3, newSigningKey().signer.publicKey)),
    ],
    ['a list of no keys', ({ signer }) => signer.signKeyList({ ...listOf(5), keys: [] })],
    [
      'another purpose',
      ({ signer }) =>
        signer.signKeyList({
          ...listOf(5, newSigningKey().signer.publicKey),
          purpose: 'x' as never,
        }),
    ],
    ['nonsense', async () => 'a.b.c'],
    ['nothing', async () => ''],
  ]
  for (const [name, make] of refused) {
    test(`is not changed by ${name}`, async () => {
      const trusted = newSigningKey()
      const identity = enrolAnswerSchema.parse({
        hostId: 'h',
        name: 'n',
        role: 'director',
        site: 's',
        audience: 'a',
        controllerKeys: [trusted.signer.publicKey],
        keySerial: 3,
      })
      const disk = createFakeDisk()
      const trust = openTrust({ identity, disk, log: () => undefined })
      const before = trust.wire.controllerKeys.map((key) => key.export({ format: 'jwk' }).x)
      await trust.learn([await make(trusted)])
      const now = trust.wire.controllerKeys.map((key) => key.export({ format: 'jwk' }).x)
      assert.deepEqual(now, before)
      assert.equal(disk.files.size, 0)
    })
  }

  test('that is retired does not take away the last good state on disk', async () => {
    const agent = await newAgent('rs-last')
    await agent.client.login()
    const text = await (await agent.client.state()).text()
    const store = createStateStore(agent.disk, agent.trust.disk)
    const verdict = await verifyDocument(text.split('\n'), {
      ...agent.trust.wire,
      current: null,
      held: new Map(),
      findShard: async () => undefined,
    })
    assert.equal(verdict.is, 'good')
    assert.ok(verdict.is === 'good')
    const { jws, manifest } = verdict.candidate
    assert.ok(jws !== null && manifest !== null)
    await store.save({ ...verdict.candidate, jws, manifest })
    for (const name of ['announce', 'switch', 'retire']) await step(name)
    await agent.trust.learn(await keyLists(agent.client))
    const identity = await loadIdentity(agent.disk)
    assert.ok(identity !== undefined)
    const trust = openTrust({ identity, disk: agent.disk, log: () => undefined })
    const found = await createStateStore(agent.disk, trust.disk).load(() => true)
    assert.equal(found?.candidate.manifest?.digest, manifest.digest)
    const offered = await verifyDocument(text.split('\n'), {
      ...trust.wire,
      current: null,
      held: new Map(),
      findShard: async () => undefined,
    })
    assert.equal(offered.is === 'rejected' && offered.rejection.code, 'bad-signature')
  })
})

describe('signing keys that are given as text', () => {
  test('follow one another, each once, and what the first one sealed stays open', async () => {
    const [first, second, third] = [newSigningKey(), newSigningKey(), newSigningKey()]
    const given = (...next: readonly (typeof first)[]) =>
      parseEnv({
        LVSFLEET_SIGNING_KEY: first.pem,
        ...(next.length === 0
          ? {}
          : { LVSFLEET_NEXT_SIGNING_KEY: next.map(({ pem }) => pem).join('') }),
      }).signingKeys
    const start = await startTestApi({ signingKeys: given() })
    const steps = async (on: TestApi, ...names: string[]): Promise<JsonBody[]> => {
      const answers: JsonBody[] = []
      for (const name of names) {
        const answer = await on.call('POST', `/v1/controller/keys/${name}`)
        answers.push(answer.status === 200 ? answer.body.signing : answer.status)
      }
      return answers
    }
    try {
      assert.deepEqual(await steps(start, 'announce'), [409], 'none is given')
      const secret = start.deps.controllerKeys.deriveKey('a test')
      const one = await startTestApi({ beside: start, signingKeys: given(second) })
      const [a, b] = [first.signer.thumbprint, second.signer.thumbprint]
      assert.deepEqual(await steps(one, 'announce', 'switch', 'retire'), [a, b, b])
      assert.deepEqual(await steps(one, 'announce'), [409], 'the retired one does not come back')
      await one.close()
      const two = await startTestApi({ beside: start, signingKeys: given(second, third) })
      const c = third.signer.thumbprint
      assert.deepEqual(await steps(two, 'announce', 'switch', 'retire'), [b, c, c])
      assert.deepEqual(two.deps.controllerKeys.deriveKey('a test'), secret)
      await two.close()
    } finally {
      await start.close()
    }
  })
})

function listOf(serial: number, ...keys: KeyList['keys']): KeyList {
  return { purpose: 'lvsfleet-controller-keys', serial, keys }
}
