/** Operators of each role for tests, each with a call of its own, and hosts that are enrolled. */
import assert from 'node:assert/strict'
import type { Role } from '@lvs-fleet/contract'
import type { Grant } from '../../services/api/src/access/grant.ts'
import { makeAgentClient, type AgentClient } from '../fakes/agent-client.ts'
import { makeCall, type TestApi } from './harness.ts'

export type Call = TestApi['call']

export async function keyFor(api: TestApi, grant: Partial<Grant> & { role: string }) {
  const made = await api.call('POST', '/v1/api-keys', { name: grant.role, ...grant })
  assert.equal(made.status, 201, made.text)
  return {
    id: String(made.body.id),
    secret: String(made.body.key),
    call: makeCall(api.url, made.body.key),
  }
}

/** One operator of each role; what is bound to sites is bound to site-a. */
export async function everyRole(api: TestApi): Promise<Record<Grant['role'], Call>> {
  const call = async (role: Grant['role'], sites: string[] | null = null) =>
    (await keyFor(api, { role, sites })).call
  return {
    admin: await call('admin'),
    operator: await call('operator'),
    'site-operator': await call('site-operator', ['site-a']),
    enroller: await call('enroller', ['site-a']),
    viewer: await call('viewer'),
  }
}

/** Enrols a host that is declared, with a key of its own, and gives it an access token. */
export async function enrolled(
  api: TestApi,
  host: { role: Role; name: string; site: string },
): Promise<AgentClient & { accessToken: string }> {
  const { role, name, site } = host
  const token = await api.call('POST', '/v1/join-tokens', { role, site, name })
  assert.equal(token.status, 201, token.text)
  const agent = makeAgentClient(api.url)
  await agent.join(token.body.token, { role, name })
  return { ...agent, accessToken: await agent.login() }
}
