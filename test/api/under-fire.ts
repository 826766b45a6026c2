/**
 * Writers that never stop, and something that is killed again and again: afterwards every write that was acknowledged
 * stands, each has its record in the audit trail, and the trail holds every head that it showed on the way.
 */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AuditVerifier, type AuditCheckpoint, type AuditRecord } from '@lvs-fleet/contract'
import { startApiProcess, type ApiProcess } from './process.ts'

const WRITERS = 4
const QUIET = { LVSFLEET_LOG: 'error', LVSFLEET_REQUESTS_PER_SECOND: '100000' }

/** Ends something with SIGKILL and gives the API that is there afterwards. */
export type Kill = (api: ApiProcess, dataDir: string) => Promise<ApiProcess>

export const killApi: Kill = async (api, dataDir) => {
  await api.end('SIGKILL')
  return startApiProcess(dataDir, QUIET)
}

export const killPostgres: Kill = async (api, dataDir) => {
  const file = join(dataDir, 'postgres', 'postmaster.pid')
  const pid = Number((await readFile(file, 'utf8')).split('\n')[0])
  assert.ok(pid > 1)
  process.kill(pid, 'SIGKILL')
  return api
}

export async function underFire(
  t: { diagnostic: (text: string) => void },
  kills: number,
  kill: Kill,
): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'lvsfleet-crash-'))
  await chmod(dataDir, 0o711)
  const started = performance.now()
  let api = await startApiProcess(dataDir, QUIET)
  const load = writeLoad(() => api)
  const heads: AuditCheckpoint[] = []
  for (let n = 0; n < kills; n++) {
    const before = load.acknowledged.length
    for (let wait = 0; wait < 1_000 && load.acknowledged.length < before + 5; wait++)
      await sleep(20)
    assert.ok(load.acknowledged.length >= before + 5, `writes go on after kill ${n}`)
    heads.push(...(await headOf(api)))
    await sleep(20 + Math.random() * 100)
    api = await kill(api, dataDir)
  }
  await sleep(200)
  await load.stop()
  // Once more from disk: what counts is not what a process remembers.
  assert.equal(await api.end('SIGTERM'), 0)
  api = await startApiProcess(dataDir, QUIET)
  const stored = await storedPools(api)
  const lost = load.acknowledged.filter((name) => !stored.has(name))
  const records = await auditTrail(api)
  const verifier = new AuditVerifier((text) => hash('sha256', text), heads)
  for (const record of records) verifier.take(record)
  const seconds = Math.round((performance.now() - started) / 1_000)
  t.diagnostic(
    `${kills} kills in ${seconds} s, ${load.acknowledged.length} acknowledged, ${stored.size} stored, ${lost.length} lost, ` +
      `${records.length} audit records held against ${heads.length} heads, refused ${JSON.stringify([...load.refused])}`,
  )
  assert.deepEqual(lost, [])
  assert.deepEqual(verifier.verdict().faults, [])
  assert.ok(heads.length > kills / 2, 'the trail was looked at on the way')
  assert.equal(records.filter(({ action }) => action === 'pool.put').length, stored.size)
  assert.equal((await api.call('GET', '/v1/controller')).body.revision, stored.size)
  await api.end('SIGTERM')
  await rm(dataDir, { recursive: true, force: true })
}

/** Each writer keeps the names whose write was acknowledged. */
function writeLoad(current: () => ApiProcess) {
  const acknowledged: string[] = []
  const refused = new Map<number, number>()
  let running = true
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    for (let n = 0; running; n++) {
      const name = `w${writer}-${n}`
      try {
        const answer = await current().call('PUT', `/v1/pools/${name}`, {
          labels: { n: String(n) },
        })
        if (answer.status === 201) acknowledged.push(name)
        else {
          refused.set(answer.status, (refused.get(answer.status) ?? 0) + 1)
          assert.equal(answer.status, 503, answer.text)
          await sleep(20)
        }
        // Pools that pile up would make this a test of large fleets.
        await sleep(10)
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
        await sleep(20)
      }
    }
  })
  return {
    acknowledged,
    refused,
    stop: async () => {
      running = false
      await Promise.all(writers)
    },
  }
}

/** None when the API has no answer just now. */
async function headOf(api: ApiProcess): Promise<AuditCheckpoint[]> {
  try {
    const answer = await api.call('GET', '/v1/audit/checkpoints?limit=1')
    return answer.status === 200 && answer.body.head !== null ? [answer.body.head] : []
  } catch {
    return []
  }
}

async function storedPools(api: ApiProcess): Promise<Set<string>> {
  const names = new Set<string>()
  for (let cursor = ''; ;) {
    const page = await api.call('GET', `/v1/pools?limit=1000${cursor}`)
    assert.equal(page.status, 200, page.text)
    for (const pool of page.body.items) names.add(pool.name)
    if (page.body.nextCursor === null) return names
    cursor = `&cursor=${page.body.nextCursor}`
  }
}

async function auditTrail(api: ApiProcess): Promise<AuditRecord[]> {
  const records: AuditRecord[] = []
  for (let after = 0; ;) {
    const page = await api.call('GET', `/v1/audit-events?limit=1000&after=${after}`)
    assert.equal(page.status, 200, page.text)
    records.push(...page.body.items)
    if (page.body.items.length < 1_000) return records
    after = page.body.items.at(-1).number
  }
}
