/**
 * Counts what one agent asks of the API as a function: the whole agent on a fake kernel, its time running ahead, against
 * the function's own bundle under a Runtime API on loopback, on a real Postgres. A proxy between them counts.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { runCommand } from '../../services/agent/src/cli/run-command.ts'
import { parseConfig } from '../../services/agent/src/config.ts'
import type { Clock } from '../../services/agent/src/ports.ts'
import { twoSites } from '../../test/api/fleets.ts'
import { makeCall, startTestApi } from '../../test/api/harness.ts'
import { createFakeKernel } from '../../test/fakes/fake-kernel.ts'
import { startFront } from '../../test/lambda/front.ts'
import { lambdaEnv, lambdaFolder, storeWithKeyOf } from '../../test/lambda/world.ts'
import type { Counted } from './cost.ts'

/** In which nothing new is asked for or waited for: then all of the agent's loops sleep, whatever its disk had to do. */
const SETTLED_MS = 400
/** By then the agent has reported what the first state brought. */
const FIRST_SECONDS = 330
const STUCK_MS = 30_000

type Asked = {
  readonly kind: 'poll' | 'report' | 'token' | 'other'
  /** Of a processor, in the function's process. */
  readonly cpuMs: number
  readonly bytes: number
}

export async function countRequests(options: {
  readonly pollSeconds: number
  readonly quietSeconds: number
}): Promise<Counted> {
  const { pollSeconds, quietSeconds } = options
  const node = await startTestApi()
  const store = await storeWithKeyOf(node.dataDir)
  const front = await startFront(1, await lambdaFolder(), {
    ...lambdaEnv(node.databaseUrl, store),
    LVSFLEET_POLL_SECONDS: String(pollSeconds),
    LVSFLEET_LOG: 'info',
  })
  const proxy = await startCountingProxy(front.url, front.instances[0]?.pid)
  const folder = await mkdtemp(join(tmpdir(), 'lvsfleet-cost-'))
  const stop = new AbortController()
  const clock = aheadClock()
  let running: Promise<number> = Promise.resolve(0)
  try {
    const call = makeCall(front.url, node.adminKey)
    const fleet = twoSites()
    // The fake host has no interface for a VIP.
    for (const name of ['web', 'db']) fleet.virtualServices[name].vipDelivery = 'external'
    const put = await call('PUT', '/v1/fleet', fleet)
    if (put.status !== 200) throw new Error(put.text)
    const made = await call('POST', '/v1/join-tokens', {
      role: 'director',
      site: 'site-a',
      name: 'dir-a',
    })
    const config = parseConfig(['run', '--state-dir', folder], {
      LVSFLEET_API: proxy.url,
      LVSFLEET_TOKEN: made.body.token,
      LVSFLEET_HOST_ROLE: 'director',
      LVSFLEET_HOST_NAME: 'dir-a',
      LVSFLEET_METRICS: 'off',
    })
    const kernel = createFakeKernel()
    kernel.sysctls.set('net.ipv4.vs.conn_reuse_mode', '1')
    running = runCommand(config, {
      clock,
      random: () => 0.5,
      log: (level, message, fields) => {
        if (level !== 'info') console.error(message, fields)
      },
      print: () => undefined,
      openKernel: async () => kernel,
      signal: stop.signal,
    })
    const pass = async (sleepers: number, seconds: number): Promise<Asked[]> => {
      const from = proxy.asked.length
      const until = clock.monotonicMs() + seconds * 1_000
      while (clock.monotonicMs() < until) {
        await asleep(clock, proxy, sleepers)
        clock.next(until)
      }
      await asleep(clock, proxy, sleepers)
      return proxy.asked.slice(from)
    }
    // Enrolment, the first state and what it brings.
    await settled(clock, proxy)
    clock.next(Infinity)
    await settled(clock, proxy)
    const sleepers = clock.sleepers()
    await pass(sleepers, FIRST_SECONDS)
    const logged = front.instances[0]?.output().length ?? 0
    const asked = await pass(sleepers, quietSeconds)
    const logBytes = (front.instances[0]?.output().length ?? 0) - logged
    // A report has just gone out, so that no periodic one falls into what follows.
    while (proxy.asked.at(-1)?.kind !== 'report') await pass(sleepers, 1)
    const changed = await call('PATCH', '/v1/pools/web?force=true', {
      members: [
        { realServer: 'rs-a1', weight: 7 },
        { realServer: 'rs-a2' },
        { realServer: 'rs-b1' },
      ],
    })
    if (changed.status !== 200) throw new Error(changed.text)
    // The function takes others' writes up once a second of its own time.
    await sleep(1_100)
    const after = await pass(sleepers, 2 * pollSeconds)
    const host = (await call('GET', '/v1/hosts/director/dir-a')).body
    if (host.applied?.generation !== host.published?.generation)
      throw new Error(`the change did not arrive: ${JSON.stringify(host)}`)
    return {
      date: new Date().toISOString().slice(0, 10),
      machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
      quietSeconds,
      pollSeconds,
      poll: summary(asked, 'poll'),
      report: summary(asked, 'report'),
      token: summary(asked, 'token'),
      change: {
        polls: countOf(after, 'poll') - 2,
        reports: countOf(after, 'report'),
        bytes: bytesOf(after.filter(({ kind }) => kind === 'poll')),
      },
      logBytes,
    }
  } finally {
    stop.abort()
    await running.catch(() => undefined)
    await proxy.close()
    await front.close()
    await store.close()
    await node.close()
    await rm(folder, { recursive: true, force: true })
  }
}

const countOf = (asked: readonly Asked[], kind: Asked['kind']) =>
  asked.filter((one) => one.kind === kind).length
const bytesOf = (asked: readonly Asked[]) => asked.reduce((sum, { bytes }) => sum + bytes, 0)

function summary(asked: readonly Asked[], kind: Asked['kind']) {
  const all = asked.filter((one) => one.kind === kind)
  const sorted = all.map(({ cpuMs }) => cpuMs).toSorted((a, b) => a - b)
  const middle = sorted[Math.floor(sorted.length / 2)]
  if (middle === undefined) throw new Error(`no ${kind} in the quiet time: it is too short`)
  return {
    count: all.length,
    cpuMs: Math.round(middle * 100) / 100,
    bytes: Math.round(bytesOf(all) / all.length),
  }
}

type Proxy = {
  readonly url: string
  readonly asked: readonly Asked[]
  readonly underWay: () => number
  readonly close: () => Promise<void>
}

async function startCountingProxy(target: string, pid: number | undefined): Promise<Proxy> {
  const asked: Asked[] = []
  let underWay = 0
  const server = createServer(async (request, response) => {
    underWay++
    try {
      const { host: _, connection: __, 'content-length': ___, ...headers } = request.headers
      const body = await buffer(request)
      const usedMs = cpuMsOf(pid)
      const answer = await fetch(`${target}${request.url}`, {
        method: request.method ?? 'GET',
        headers: Object.entries(headers).map(([name, value]) => [name, String(value)]),
        ...(body.length === 0 ? {} : { body }),
      })
      const text = Buffer.from(await answer.arrayBuffer())
      const cpuMs = cpuMsOf(pid) - usedMs
      const lines = [...answer.headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')
      asked.push({ kind: kindOf(request.url ?? ''), cpuMs, bytes: lines.length + text.length })
      const { 'content-length': ____, ...given } = Object.fromEntries(answer.headers)
      response.writeHead(answer.status, given).end(text)
    } finally {
      underWay--
    }
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    underWay: () => underWay,
    close: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

/** Of all its threads (the first field of schedstat is nanoseconds on a processor): busy neighbours do not count. */
function cpuMsOf(pid: number | undefined): number {
  const tasks = `/proc/${pid}/task`
  return readdirSync(tasks).reduce(
    (sum, task) =>
      sum + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e6,
    0,
  )
}

function kindOf(url: string): Asked['kind'] {
  if (url.startsWith('/v1/agent/state')) return 'poll'
  if (url === '/v1/agent/report') return 'report'
  return url === '/v1/agent/token' ? 'token' : 'other'
}

type AheadClock = Clock & {
  /** Goes to when the next sleeper wakes, but not beyond `until`. */
  next(until: number): void
  /** Changes with each sleep and each waking. */
  readonly steps: () => number
  readonly sleepers: () => number
}

/** The agent's own time; the wall's is the true one, because the function's tokens have it. */
function aheadClock(): AheadClock {
  let now = 1_000_000
  let steps = 0
  const sleepers = new Set<{ readonly until: number; readonly wake: () => void }>()
  return {
    wallMs: () => Date.now(),
    monotonicMs: () => now,
    steps: () => steps,
    sleepers: () => sleepers.size,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        steps++
        const sleeper = {
          until: now + ms,
          wake: () => {
            steps++
            sleepers.delete(sleeper)
            resolve()
          },
        }
        sleepers.add(sleeper)
        if (signal?.aborted === true) sleeper.wake()
        signal?.addEventListener('abort', sleeper.wake, { once: true })
      }),
    next(until) {
      now = Math.max(now, nearest(sleepers, until))
      for (const sleeper of sleepers) if (sleeper.until <= now) sleeper.wake()
    },
  }
}

function nearest(sleepers: ReadonlySet<{ readonly until: number }>, otherwise: number): number {
  return Math.min(otherwise, ...[...sleepers].map(({ until }) => until))
}

/** Until nothing is under way and nothing went to sleep or woke for a while of the wall's time. */
async function settled(clock: AheadClock, proxy: Proxy): Promise<void> {
  let seen = -1
  let since = performance.now()
  while (performance.now() - since < SETTLED_MS) {
    if (clock.steps() !== seen || proxy.underWay() > 0) since = performance.now()
    seen = clock.steps()
    await sleep(10)
  }
}

/** Until as many sleep as there are loops: time may go on only when nobody is at work. */
async function asleep(clock: AheadClock, proxy: Proxy, sleepers: number): Promise<void> {
  const from = performance.now()
  do {
    await turn()
    if (performance.now() - from > STUCK_MS) throw new Error('the agent does not come to rest')
  } while (clock.sleepers() < sleepers || proxy.underWay() > 0)
}
