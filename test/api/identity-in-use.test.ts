/** One key, one host: keys are replaced without a gap whatever crashes, and a copy of a host is noticed. The agent's own client against a real API. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { EnrolAnswer } from '@lvs-fleet/contract'
import pg from 'pg'
import { openChain } from '../../services/agent/src/control-plane/chain.ts'
import {
  createControlPlane,
  type ControlPlane,
} from '../../services/agent/src/control-plane/client.ts'
import { enrol } from '../../services/agent/src/control-plane/enrol.ts'
import { openHostKeys } from '../../services/agent/src/control-plane/host-keys.ts'
import { createHttpClient, type HttpClient } from '../../services/agent/src/control-plane/http.ts'
import { loadIdentity } from '../../services/agent/src/control-plane/identity.ts'
import { DAY_MS, keyRound } from '../../services/agent/src/control-plane/key-rounds.ts'
import { makeAgentClient } from '../fakes/agent-client.ts'
import { createFakeClock } from '../fakes/fake-clock.ts'
import { createFakeDisk, type FakeDisk } from '../fakes/fake-disk.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type JsonBody, type TestApi } from './harness.ts'

let api: TestApi
let count = 0
before(async () => {
  api = await startTestApi()
  assert.equal((await api.call('PUT', '/v1/fleet', twoSites())).status, 200)
})
after(() => api.close())

type Host = { readonly name: string; readonly disk: FakeDisk; readonly identity: EnrolAnswer }

async function newHost(): Promise<Host> {
  const n = ++count
  const name = `rs-${n}`
  const made = await api.call('POST', '/v1/join-tokens', { role: 'real-server', site: 'site-a' })
  const disk = createFakeDisk()
  const http = createHttpClient(new URL(api.url))
  const identity = await enrol(
    {
      http,
      disk,
      clock: { ...createFakeClock(), wallMs: Date.now },
      log: () => undefined,
      signal: new AbortController().signal,
    },
    {
      way: { by: 'token', token: made.body.token },
      role: 'real-server',
      name,
      addresses: [`10.1.3.${n}` as never],
      machineId: 'm',
    },
  )
  http.close()
  return { name, disk, identity }
}

/** What an agent is after a start: only what its disk says. */
async function start(
  disk: FakeDisk,
  options: { readonly wrap?: (http: HttpClient) => HttpClient; readonly skewMs?: number } = {},
): Promise<ControlPlane & Disposable> {
  const [identity, keys] = [await loadIdentity(disk), await openHostKeys(disk)]
  assert.ok(identity !== undefined && keys !== undefined)
  const http = createHttpClient(new URL(api.url))
  const clock = { ...createFakeClock(), wallMs: () => Date.now() + (options.skewMs ?? 0) }
  const client = createControlPlane({
    http: options.wrap?.(http) ?? http,
    clock,
    identity,
    keys,
    chain: openChain(disk),
  })
  return { ...client, [Symbol.dispose]: () => http.close() }
}

const poll = async (client: ControlPlane) => {
  const answer = await client.poll({ waitSeconds: 0, have: null, etag: undefined })
  if (answer.is === 'document') for await (const _ of answer.lines) void _
  return answer.is === 'refused' ? (answer.code ?? 'refused') : answer.is
}

/** The request arrives, the answer does not. */
const losing =
  (path: string) =>
  (http: HttpClient): HttpClient => ({
    ...http,
    request: async (request) => {
      const answer = await http.request(request)
      if (!request.path.startsWith(path)) return answer
      await answer.text()
      throw new Error('the answer is lost')
    },
  })

async function hostOf(name: string): Promise<JsonBody> {
  return (await api.call('GET', `/v1/hosts/real-server/${name}`)).body
}

function conditionOf(host: JsonBody, type: string): { status: boolean; message: string } {
  return host.conditions.find((one: JsonBody) => one.type === type)
}

const copyOf = (disk: FakeDisk) => createFakeDisk(disk.files)

describe('the key of a host', () => {
  test('is replaced, and then the new one alone counts', async () => {
    const { disk, name } = await newHost()
    const before = copyOf(disk)
    using agent = await start(disk)
    assert.equal(await poll(agent), 'document')
    const first = (await hostOf(name)).enrolment.thumbprint
    assert.deepEqual(await agent.rotateKey(), { is: 'taken' })
    assert.equal(await poll(agent), 'document', 'the token goes on')
    assert.notEqual((await hostOf(name)).enrolment.thumbprint, first)
    using restarted = await start(disk)
    assert.equal(await poll(restarted), 'document')
    using thief = await start(before)
    assert.equal(await poll(thief), 'invalid-assertion', 'the old key is worth nothing')
    assert.equal(conditionOf(await hostOf(name), 'quarantined').status, false)
    const audit = (await api.call('GET', '/v1/audit-events?limit=50')).body.items
    assert.ok(audit.some((one: JsonBody) => one.action === 'host.rotate-key'))
  })

  test('is replaced without a gap wherever the host dies, and whatever answer is lost', async () => {
    for (let effects = 0; ; effects++) {
      const { disk } = await newHost()
      {
        using agent = await start(disk)
        assert.equal(await poll(agent), 'document')
        let left = effects
        disk.beforeEffect = () => {
          if (left-- === 0) throw new Error('power cut')
        }
        const died = await agent.rotateKey().then(
          () => false,
          () => true,
        )
        disk.beforeEffect = undefined
        if (!died) {
          assert.ok(effects >= 4, 'it died at each step before')
          break
        }
      }
      using restarted = await start(disk)
      assert.equal(await poll(restarted), 'document', `after effect ${effects}`)
      assert.deepEqual(await restarted.rotateKey(), { is: 'taken' })
      using again = await start(disk)
      assert.equal(await poll(again), 'document')
    }
    const { disk } = await newHost()
    {
      using agent = await start(disk, { wrap: losing('/v1/agent/rotate-key') })
      await assert.rejects(agent.rotateKey())
    }
    using restarted = await start(disk)
    assert.equal(await poll(restarted), 'document', 'after a lost answer')
  })

  test('is not replaced by a token alone, nor by a key that nobody holds', async () => {
    const { disk } = await newHost()
    const forger = (http: HttpClient): HttpClient => ({
      ...http,
      request: (request) => {
        if (!request.path.includes('rotate-key')) return http.request(request)
        const body: JsonBody = JSON.parse(request.body ?? '{}')
        return http.request({
          ...request,
          body: JSON.stringify({ ...body, [forged]: 'A'.repeat(86) }),
        })
      },
    })
    let forged = 'oldProof'
    using agent = await start(disk, { wrap: forger })
    for (forged of ['oldProof', 'newProof']) {
      const answer = await agent.rotateKey()
      assert.equal(answer.is === 'refused' && answer.code, 'invalid-assertion')
    }
    assert.equal(await poll(agent), 'document')
  })

  test('is replaced when it is old, and not before', async () => {
    const { disk, name } = await newHost()
    const first = (await hostOf(name)).enrolment.thumbprint
    using controlPlane = await start(disk)
    const keys = await openHostKeys(disk)
    assert.ok(keys !== undefined)
    let nowMs = Date.now()
    const deps = {
      disk,
      keys,
      random: () => 0.5,
      everyDays: 7,
      log: () => undefined,
      clock: { ...createFakeClock(), wallMs: () => nowMs },
      controlPlane: {
        rotateKey: async () => {
          const answer = await controlPlane.rotateKey()
          await keys.makeNext()
          await keys.promote()
          return answer
        },
      },
    }
    assert.equal(await keyRound(deps), false)
    nowMs += 6 * DAY_MS
    assert.equal(await keyRound(deps), false)
    nowMs += 1 * DAY_MS
    assert.equal(await keyRound(deps), true)
    assert.notEqual((await hostOf(name)).enrolment.thumbprint, first)
  })
})

describe('a host', () => {
  test('whose clock is off by a day gets in, either way', async () => {
    for (const skewMs of [DAY_MS, -DAY_MS]) {
      const { disk } = await newHost()
      using agent = await start(disk, { skewMs })
      assert.equal(await poll(agent), 'document')
    }
  })

  test('that is revoked is out at its next request, and as soon as they hear in other processes', async () => {
    const other = await startTestApi({ beside: api })
    try {
      const made = await api.call('POST', '/v1/join-tokens', {
        role: 'real-server',
        site: 'site-a',
      })
      const agent = makeAgentClient(api.url)
      const host = { role: 'real-server', name: 'rs-out', addresses: ['10.1.3.250'] } as const
      await agent.join(made.body.token, host)
      const authorization = `Bearer ${await agent.login()}`
      const elsewhere = () => fetch(`${other.url}/v1/agent/state`, { headers: { authorization } })
      assert.equal((await agent.state()).status, 200)
      // The other process hears of the new host by NOTIFY, too.
      const heardBy = Date.now() + 5_000
      while ((await elsewhere()).status !== 200) assert.ok(Date.now() < heardBy, 'not heard')
      assert.equal((await api.call('POST', '/v1/hosts/real-server/rs-out/revoke')).status, 204)
      assert.equal((await agent.state()).status, 401)
      assert.equal((await agent.requestToken(await agent.assertion())).status, 401)
      const deadline = Date.now() + 5_000
      while ((await elsewhere()).status !== 401) assert.ok(Date.now() < deadline, 'not heard')
    } finally {
      await other.close()
    }
  })

  test('and its copy are both held off once both were there; a person releases them', async () => {
    const { disk, name } = await newHost()
    {
      using agent = await start(disk)
      assert.equal(await poll(agent), 'document')
    }
    const copied = copyOf(disk)
    {
      using original = await start(disk)
      assert.equal(await poll(original), 'document')
    }
    // At rest the two are equal; what tells them apart is the next step of each.
    using original = await start(disk)
    using copy = await start(copied)
    const seen: string[] = []
    for (let i = 0; i < 4; i++) {
      for (const client of [original, copy]) {
        await forgetTokens(name)
        seen.push(await poll(client))
      }
      if (seen.includes('quarantined')) break
    }
    assert.ok(seen.includes('quarantined'), seen.join(' '))
    assert.equal(await poll(original), 'quarantined')
    assert.equal(await poll(copy), 'quarantined')
    const condition = conditionOf(await hostOf(name), 'quarantined')
    assert.equal(condition.status, true)
    assert.match(condition.message, /two hosts use its key/)
    const audit = (await api.call('GET', '/v1/audit-events?limit=50')).body.items
    assert.ok(audit.some((one: JsonBody) => one.action === 'host.quarantine'))
    const released = await api.call('POST', `/v1/hosts/real-server/${name}/release`)
    assert.equal(released.status, 204)
    assert.equal(await poll(original), 'document')
    assert.equal(await poll(copy), 'quarantined', 'the copy still runs, and is caught anew')
    const again = `/v1/hosts/real-server/${name}/release`
    assert.equal((await api.call('POST', again)).status, 204)
    assert.equal((await api.call('POST', again)).status, 404)
  })

  test('is no copy of itself: lost answers, crashes, a full disk, a second process', async () => {
    const { disk, name } = await newHost()
    for (let round = 0; round < 3; round++) {
      {
        using agent = await start(disk, { wrap: losing('/v1/agent/token') })
        await assert.rejects(poll(agent))
        await assert.rejects(poll(agent))
      }
      using agent = await start(disk)
      assert.equal(await poll(agent), 'document')
      await forgetTokens(name)
      disk.beforeEffect = () => {
        throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
      }
      assert.equal(await poll(agent), 'document', 'a full disk')
      await forgetTokens(name)
      assert.equal(await poll(agent), 'document', 'a disk that stays full')
      disk.beforeEffect = undefined
      await forgetTokens(name)
      assert.equal(await poll(agent), 'document')
    }
    for (let effects = 0; effects < 3; effects++) {
      using agent = await start(disk)
      let left = effects
      disk.beforeEffect = () => {
        if (left-- <= 0) throw new Error('power cut')
      }
      await poll(agent).catch(() => undefined)
      disk.beforeEffect = undefined
      using restarted = await start(disk)
      assert.equal(await poll(restarted), 'document', `a power cut at effect ${effects}`)
    }
    assert.equal(conditionOf(await hostOf(name), 'quarantined').status, false)
  })

  test('that asks many things at once takes one step', async () => {
    const { disk, name } = await newHost()
    using agent = await start(disk)
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => poll(agent)))
    assert.deepEqual([...new Set(answers)], ['document'])
    assert.equal(conditionOf(await hostOf(name), 'quarantined').status, false)
  })
})

/** As after a quarter of an hour: the host must buy another token. */
async function forgetTokens(name: string): Promise<void> {
  const client = new pg.Client({ connectionString: api.databaseUrl })
  await client.connect()
  await client.query(
    'delete from access_tokens where host_id in (select id from hosts where name = $1)',
    [name],
  )
  await client.end()
  api.deps.sessions.clear()
}
