/** Agents a minor version older or newer than this API, over HTTP: enrolment, token, state, report, and what the fleet says of them. */
import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import {
  AGENT_VERSION_HEADER,
  enrolProofText,
  JWT_BEARER,
  tokenAnswerSchema,
  VERSION,
} from '@lvs-fleet/contract'
import { makeAgentClient, makeReport, readDocument } from '../fakes/agent-client.ts'
import { fromTheFuture, WIRE_MESSAGES } from '../fixtures/wire-messages.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type TestApi } from './harness.ts'
import { runCli } from './run-cli.ts'

const [major = 0, minor = 0] = VERSION.split('.').map(Number)
const NEWER = `${major}.${minor + 1}.0`
const TOO_NEW = `${major}.${minor + 2}.0`

let api: TestApi
before(async () => {
  api = await startTestApi()
  assert.equal((await api.call('PUT', '/v1/fleet', twoSites())).status, 200)
})
after(() => api.close())

async function joinToken(name: string): Promise<string> {
  const wanted = { role: 'director', site: name.endsWith('a') ? 'site-a' : 'site-b', name }
  const made = await api.call('POST', '/v1/join-tokens', wanted)
  return made.body.token
}

function post(path: string, body: object, headers: Record<string, string> = {}) {
  const all = { 'content-type': 'application/json', ...headers }
  return fetch(`${api.url}${path}`, { method: 'POST', headers: all, body: JSON.stringify(body) })
}

async function enrolRequest(name: string, agent: ReturnType<typeof makeAgentClient>) {
  const token = await joinToken(name)
  const proof = sign(null, Buffer.from(enrolProofText(token)), agent.privateKey)
  return {
    token,
    role: 'director',
    name,
    publicKey: agent.publicKey,
    addresses: [],
    proof: proof.toString('base64url'),
    machineId: 'm',
  }
}

const hostRow = async (name: string) =>
  (await api.call('GET', `/v1/hosts/director/${name}`)).body.agent

describe('an agent of the next minor version', () => {
  test('enrols, logs in, gets its state and reports, with words that this API does not know', async () => {
    const agent = makeAgentClient(api.url)
    const request = fromTheFuture(await enrolRequest('dir-a', agent))
    const answer = await post('/v1/enrol', request, { [AGENT_VERSION_HEADER]: NEWER })
    assert.equal(answer.status, 200, await answer.clone().text())
    const identity = await answer.json()
    agent.become(identity as never)
    const bought = await post('/v1/agent/token', {
      grant_type: 'client_credentials',
      client_assertion_type: JWT_BEARER,
      client_assertion: await agent.assertion(),
      fromTheFuture: true,
    })
    assert.equal(bought.status, 200)
    const token = tokenAnswerSchema.parse(await bought.json()).access_token
    const state = await agent.state({ token })
    assert.equal(state.status, 200)
    const [key] = (identity as { controllerKeys: never[] }).controllerKeys
    assert.ok(key !== undefined)
    const { manifest } = await readDocument(await state.text(), key)
    const full = WIRE_MESSAGES.find(({ name }) => name === 'report')?.full ?? {}
    const { epoch, generation, digest } = manifest
    const report = { ...full, agentVersion: NEWER, applied: { epoch, generation, digest } }
    const auth = { authorization: `Bearer ${token}` }
    const told = await post('/v1/agent/report', fromTheFuture(report), auth)
    assert.equal(told.status, 204, await told.text())
    assert.deepEqual(await hostRow('dir-a'), { version: NEWER, supported: true, reason: null })
  })
})

describe('an agent without the fields that came later', () => {
  test('reports what the oldest version reported', async () => {
    const agent = makeAgentClient(api.url)
    await agent.join(await joinToken('dir-b'), { role: 'director', name: 'dir-b' })
    await agent.login()
    const oldest = WIRE_MESSAGES.find(({ name }) => name === 'report')?.oldest
    assert.equal((await agent.report(oldest as never)).status, 204)
    assert.deepEqual(await hostRow('dir-b'), { version: '0.1.0', supported: true, reason: null })

    // Served all the same when it is outside the window: what it has must go on.
    assert.equal((await agent.report(makeReport(2, { agentVersion: TOO_NEW }))).status, 204)
    const row = await hostRow('dir-b')
    assert.equal(row.supported, false)
    assert.match(row.reason, new RegExp(`agent ${TOO_NEW} is too new for API ${VERSION}`))
    assert.equal((await agent.state()).status, 200)
    const env = { LVSFLEET_API: api.url, LVSFLEET_KEY: api.adminKey }
    const { stdout } = await runCli(['status'], '', env)
    assert.match(stdout, /director\/dir-b .*unsupported: agent .* is too new for API/)
  })
})

test('an agent outside the window is not let in: 426, and what to do; its token is not spent', async () => {
  const agent = makeAgentClient(api.url)
  await api.call('POST', '/v1/hosts/director/dir-b/revoke')
  const request = await enrolRequest('dir-b', agent)
  const refused = await post('/v1/enrol', request, { [AGENT_VERSION_HEADER]: TOO_NEW })
  assert.equal(refused.status, 426)
  assert.match(refused.headers.get('content-type') ?? '', /problem\+json/)
  const problem = (await refused.json()) as { code: string; detail: string }
  assert.equal(problem.code, 'unsupported-agent')
  assert.match(problem.detail, /upgrade the API to at most one minor version apart/)
  const accepted = await post('/v1/enrol', request, { [AGENT_VERSION_HEADER]: NEWER })
  assert.equal(accepted.status, 200)
})
