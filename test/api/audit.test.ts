/** The audit trail: every change and refusal in one chain; whoever edits the database is found out. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { chainAuditTrail } from '../../services/api/src/store/audit-store.ts'
import { keepCheckpoint } from '../../services/api/src/verbs/audit-trail.ts'
import { makeAgentClient } from '../fakes/agent-client.ts'
import { twoSites } from './fleets.ts'
import { makeCall, startTestApi, type JsonBody, type TestApi } from './harness.ts'
import { keyFor } from './operators.ts'
import { runCli } from './run-cli.ts'

let api: TestApi
let folder = ''

before(async () => {
  api = await startTestApi()
  folder = await mkdtemp(join(tmpdir(), 'lvsfleet-audit-'))
  assert.equal((await api.call('PUT', '/v1/fleet', twoSites())).status, 200)
})
after(async () => {
  await api.close()
  await rm(folder, { recursive: true, force: true })
})

const env = (): Record<string, string> => ({ LVSFLEET_API: api.url, LVSFLEET_KEY: api.adminKey })
const cli = (...words: string[]) => runCli(words, '', env())
const sql = (text: string) => api.deps.database.pool.query(text)
const newest = async (limit = 1): Promise<JsonBody[]> =>
  (await api.call('GET', `/v1/audit-events?limit=${limit}`)).body.items
const countAll = async (): Promise<number> => (await newest(1_000)).length

describe('a refusal is recorded', () => {
  const pool = '/v1/pools/web'
  const REFUSED: readonly {
    status: number
    code: string
    ask: () => Promise<{ status: number }>
    actor: string
    subject: string
  }[] = [
    {
      status: 401,
      code: 'unauthenticated',
      ask: () => makeCall(api.url, 'wrong')('GET', '/v1/fleet'),
      actor: 'nobody',
      subject: 'GET /v1/fleet',
    },
    {
      status: 403,
      code: 'forbidden',
      ask: async () => (await keyFor(api, { role: 'viewer' })).call('DELETE', pool),
      actor: 'api-key/viewer',
      subject: `DELETE ${pool}`,
    },
    {
      status: 404,
      code: 'not-found',
      ask: () => api.call('DELETE', '/v1/pools/none'),
      actor: 'api-key/first',
      subject: 'DELETE /v1/pools/none',
    },
    {
      status: 409,
      code: 'referenced',
      ask: () => api.call('DELETE', pool),
      actor: 'api-key/first',
      subject: `DELETE ${pool}`,
    },
    {
      status: 412,
      code: 'stale-version',
      ask: () => api.call('PATCH', pool, {}, { 'if-match': '"99"' }),
      actor: 'api-key/first',
      subject: `PATCH ${pool}`,
    },
    {
      status: 422,
      code: 'invalid-body',
      ask: () => api.call('PUT', '/v1/fleet', { sites: { A: {} } }),
      actor: 'api-key/first',
      subject: 'PUT /v1/fleet',
    },
    {
      status: 428,
      code: 'precondition-required',
      ask: () => api.call('PUT', pool, {}),
      actor: 'api-key/first',
      subject: `PUT ${pool}`,
    },
    {
      status: 401,
      code: 'invalid-token',
      ask: () => {
        const token = `lvsj_000000000000_${'A'.repeat(43)}`
        return makeAgentClient(api.url).enrol(token, { role: 'director', name: 'dir-a' })
      },
      actor: 'nobody',
      subject: 'POST /v1/enrol',
    },
  ]
  for (const { status, code, ask, actor, subject } of REFUSED) {
    test(`${status} ${code} of ${subject}`, async () => {
      assert.equal((await ask()).status, status)
      const [record] = await newest()
      assert.deepEqual(
        [record.actor, record.action, record.subject, record.detail.status, record.detail.code],
        [actor, 'refused', subject, status, code],
      )
    })
  }

  test('and what is only not found by reading is none', async () => {
    const count = await countAll()
    assert.equal((await api.call('GET', '/v1/pools/none')).status, 404)
    assert.equal(await countAll(), count)
  })

  test('without the secret that was sent in the wrong place', async () => {
    const secret = `lvsk_0123456789ab_${'S'.repeat(43)}`
    assert.equal((await api.call('DELETE', `/v1/pools/${secret}`)).status, 404)
    assert.ok(!JSON.stringify(await newest()).includes('SSSS'))
  })

  test('once, when many ask: a flood is counted and told in one record', async () => {
    const count = await countAll()
    const wrong = makeCall(api.url, 'wrong')
    for (let n = 0; n < 300; n++) assert.equal((await wrong('GET', '/v1/fleet')).status, 401)
    assert.ok((await countAll()) - count < 40, `${(await countAll()) - count} records`)
    await api.deps.refusals.flush()
    const [record] = await newest()
    assert.deepEqual([record.actor, record.action], ['controller', 'refused.more'])
    const counted = record.detail.counts['nobody 401 unauthenticated GET']
    assert.ok(counted > 250 && counted <= 300, String(counted))
  })
})

test('changes that come at once are chained in the order in which they were committed', async () => {
  const beside = await startTestApi({ beside: api })
  await Promise.all(
    Array.from({ length: 40 }, (_, n) => {
      const { call } = n % 2 === 0 ? api : beside
      return n % 4 < 2
        ? call('PUT', `/v1/pools/many-${n}`, {})
        : call('POST', '/v1/join-tokens', { role: 'director', site: 'site-a' })
    }),
  )
  await beside.close()
  const verified = await cli('audit', 'verify')
  assert.equal(verified.code, 0, verified.stdout + verified.stderr)
  const numbers = (await newest(1_000)).filter(({ action }) => action === 'pool.put')
  assert.ok(numbers.length >= 20)
  const revisions = numbers.map(({ revision }) => revision)
  assert.deepEqual(
    revisions,
    revisions.toSorted((a, b) => b - a),
  )
})

test('a checkpoint is kept when something was done, and not again while nothing is', async () => {
  await keepCheckpoint(api.deps)
  await keepCheckpoint(api.deps)
  const { head, items } = (await api.call('GET', '/v1/audit/checkpoints')).body
  assert.equal(items.length, 1)
  assert.equal(items[0].hash, head.hash)
})

describe('lvsfleet audit verify', () => {
  /** What an owner of the database does, who can drop the trigger. */
  const tamper = async (statement: string) => {
    await sql('alter table audit_events disable trigger user')
    await sql(statement)
    await sql('alter table audit_events enable trigger user')
  }
  const restore = async () => {
    await sql('alter table audit_events disable trigger user')
    await sql('delete from audit_events')
    await sql('insert into audit_events overriding system value select * from audit_copy')
    await sql('alter table audit_events enable trigger user')
  }
  let kept = ''
  let exported = ''

  before(async () => {
    kept = join(folder, 'checkpoints.ndjson')
    exported = join(folder, 'audit.ndjson')
    await writeFile(kept, (await cli('audit', 'checkpoint')).stdout)
    await writeFile(exported, (await cli('audit', 'export')).stdout)
    await sql('create table audit_copy as select * from audit_events')
  })

  test('finds a whole trail whole, of the API and of a file', async () => {
    for (const words of [[], [exported]]) {
      const { code, stdout, stderr } = await cli('audit', 'verify', ...words, '--checkpoint', kept)
      assert.equal(code, 0, stdout + stderr)
      assert.match(stdout, /^the audit trail is whole: \d+ records/)
      assert.doesNotMatch(stdout, /kept elsewhere/)
    }
    assert.match((await cli('audit', 'verify')).stdout, /kept elsewhere/)
    assert.match((await cli('audit', 'log')).stdout, /refused +GET \/v1\/fleet/)
  })

  const middle = '(select number from audit_events order by number offset 10 limit 1)'
  const TAMPERINGS: readonly [what: string, statement: string, told: RegExp][] = [
    ['an edit', `update audit_events set actor = 'x' where number = ${middle}`, /does not follow/],
    ['a removal', `delete from audit_events where number = ${middle}`, /does not follow/],
    [
      'a swap',
      `update audit_events a set at = b.at, actor = b.actor, action = b.action, subject = b.subject,
         revision = b.revision, detail = b.detail, hash = b.hash
       from audit_events b
       where (a.number = ${middle} and b.number = (select max(number) - 1 from audit_events))
          or (b.number = ${middle} and a.number = (select max(number) - 1 from audit_events))`,
      /does not follow/,
    ],
    [
      'a cut end',
      'delete from audit_events where number > (select max(number) - 3 from audit_events)',
      /its end was cut off|written anew/,
    ],
    [
      'a lost hash',
      `update audit_events set hash = null where number = ${middle}`,
      /does not follow/,
    ],
    ['an empty trail', 'delete from audit_events', /its end was cut off/],
  ]
  for (const [what, statement, told] of TAMPERINGS) {
    test(`finds ${what}`, async () => {
      await tamper(statement)
      const { code, stdout } = await cli('audit', 'verify', '--checkpoint', kept)
      await restore()
      assert.equal(code, 1, stdout)
      assert.match(stdout, told)
    })
  }

  test('finds a trail that was chained anew by who has the database but not the key', async () => {
    await tamper(`update audit_events set actor = 'x' where number = ${middle};
                  update audit_events set hash = null`)
    await api.deps.database.db.transaction(chainAuditTrail)
    const { code, stdout } = await cli('audit', 'verify', '--checkpoint', kept)
    await restore()
    assert.equal(code, 1)
    assert.match(stdout, /written anew/)
  })

  test('finds it in a file as well, and does not believe a checkpoint of another key', async () => {
    const text = await readFile(exported, 'utf8')
    const edited = join(folder, 'edited.ndjson')
    await writeFile(edited, text.replace('"actor":"first-start"', '"actor":"nobody-else"'))
    assert.equal((await cli('audit', 'verify', edited)).code, 1)
    const other = await startTestApi()
    const foreign = join(folder, 'foreign.ndjson')
    const said = await runCli(['audit', 'checkpoint'], '', {
      LVSFLEET_API: other.url,
      LVSFLEET_KEY: other.adminKey,
    })
    await other.close()
    await writeFile(foreign, said.stdout)
    const refused = await cli('audit', 'verify', exported, '--checkpoint', foreign)
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /not trusted/)
    assert.equal((await cli('audit', 'verify', exported, '--key', 'x'.repeat(43))).code, 1)
    const { thumbprint } = api.deps.controllerKeys.signer
    assert.equal((await cli('audit', 'verify', exported, '--key', thumbprint)).code, 0)
  })
})

test('rows from before the chain are chained once, at the next start, and only their hash changes', async () => {
  const old = await startTestApi()
  const client = old.deps.database.pool
  for (let n = 0; n < 3; n++) {
    await client.query(
      `insert into audit_events (at, actor, action, subject, detail) values (now(), 'old', 'x', 's${n}', '{"n": 1}')`,
    )
  }
  await assert.rejects(
    client.query(`update audit_events set hash = 'x', actor = 'y' where actor = 'old'`),
    /append-only/,
  )
  const beside = await startTestApi({ beside: old })
  const verified = await runCli(['audit', 'verify'], '', {
    LVSFLEET_API: beside.url,
    LVSFLEET_KEY: old.adminKey,
  })
  assert.equal(verified.code, 0, verified.stdout + verified.stderr)
  await assert.rejects(client.query('update audit_events set hash = $$x$$'), /append-only/)
  await beside.close()
  await old.close()
})
