/** Directors of a test fleet that enrolled, and say of their real servers what a test wants. */
import assert from 'node:assert/strict'
import type { CheckHealth, HostState } from '@lvs-fleet/contract'
import { makeAgentClient, makeReport, type AgentClient } from '../fakes/agent-client.ts'
import { checkHealth, healthReport } from '../fixtures/health-reports.ts'
import type { TestApi } from './harness.ts'

export async function joinDirector(api: TestApi, site: string, name: string): Promise<AgentClient> {
  const made = await api.call('POST', '/v1/join-tokens', { role: 'director', site, name })
  const agent = makeAgentClient(api.url)
  await agent.join(made.body.token, { role: 'director', name })
  await agent.login()
  return agent
}

/** Reports all checks that are published for the director; up is whoever `said` gives nothing for. */
export async function reportHealth(
  api: TestApi,
  {
    agent,
    name,
    seq,
  }: { readonly agent: AgentClient; readonly name: string; readonly seq: number },
  said: (realServer: string) => Partial<CheckHealth> | undefined,
): Promise<void> {
  const published: HostState = (await api.call('GET', `/v1/hosts/director/${name}/state`)).body
  const checks = published.checks.map((check) => checkHealth(check, said(check.realServer)))
  const answer = await agent.report(makeReport(seq, { health: healthReport(checks) }))
  assert.equal(answer.status, 204)
}
