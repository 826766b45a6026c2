import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startApiProcess, type ApiProcess } from './process.ts'

const KILLS = 10
const WRITERS = 4

/** Writers that never stop: each keeps the names whose write was acknowledged. */
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

async function underFire(
  t: { diagnostic: (text: string) => void },
  kill: (api: ApiProcess, dataDir: string) => Promise<ApiProcess>,
) {
  const dataDir = await mkdtemp(join(tmpdir(), 'lvsfleet-crash-'))
  await chmod(dataDir, 0o711)
  let api = await startApiProcess(dataDir, { LVSFLEET_LOG: 'error' })
  const load = writeLoad(() => api)
  for (let n = 0; n < KILLS; n++) {
    const before = load.acknowledged.length
    for (let wait = 0; wait < 1_000 && load.acknowledged.length < before + 5; wait++)
      await sleep(20)
    assert.ok(load.acknowledged.length >= before + 5, 'writes go on after a kill')
    await sleep(50 + Math.random() * 150)
    api = await kill(api, dataDir)
  }
  await sleep(200)
  await load.stop()
  // Once more from disk: what counts is not what a process remembers.
  assert.equal(await api.end('SIGTERM'), 0)
  api = await startApiProcess(dataDir)
  const stored = await storedPools(api)
  const lost = load.acknowledged.filter((name) => !stored.has(name))
  t.diagnostic(
    `${KILLS} kills, ${load.acknowledged.length} acknowledged, ${stored.size} stored, refused ${JSON.stringify([...load.refused])}`,
  )
  assert.deepEqual(lost, [])
  assert.equal((await api.call('GET', '/v1/controller')).body.revision, stored.size)
  await api.end('SIGTERM')
  await rm(dataDir, { recursive: true, force: true })
}

test('kill -9 of the API under load loses no acknowledged write', { timeout: 180_000 }, (t) =>
  underFire(t, async (api, dataDir) => {
    await api.end('SIGKILL')
    return startApiProcess(dataDir, { LVSFLEET_LOG: 'error' })
  }),
)

test(
  'kill -9 of Postgres under load loses no acknowledged write, and the API goes on',
  { timeout: 180_000 },
  (t) =>
    underFire(t, async (api, dataDir) => {
      const pid = Number(
        (await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0],
      )
      assert.ok(pid > 1)
      process.kill(pid, 'SIGKILL')
      return api
    }),
)
