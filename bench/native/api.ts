/**
 * A real API on a real Postgres with one enrolled agent, in a process of its own. Says where it listens and
 * what the agent's idle poll sends; each later message is answered with how many queries the database was asked.
 */
import { makeAgentClient } from '../../test/fakes/agent-client.ts'
import { twoSites } from '../../test/api/fleets.ts'
import { startTestApi } from '../../test/api/harness.ts'

const api = await startTestApi()
await api.call('PUT', '/v1/fleet', twoSites())
const joined = await api.call('POST', '/v1/join-tokens', {
  role: 'director',
  site: 'site-a',
  name: 'dir-a',
})
const agent = makeAgentClient(api.url)
await agent.join(joined.body.token, { role: 'director', name: 'dir-a' })
const token = await agent.login()
const state = await agent.state()
await state.text()
process.on('message', () => process.send?.({ queries: api.deps.database.queryCount() }))
process.on('disconnect', () => void api.close().then(() => process.exit(0)))
process.send?.({
  port: Number(new URL(api.url).port),
  path: '/v1/agent/state',
  headers: {
    authorization: `Bearer ${token}`,
    'if-none-match': state.headers.get('etag') ?? '',
    accept: 'application/vnd.lvsfleet.state',
  },
})
