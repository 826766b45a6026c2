import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ip, type CheckHealth, type CheckState, type HealthEvent } from '@lvs-fleet/contract'
import { createFakeClock } from '../../../../test/fakes/fake-clock.ts'
import { createHealthEngine, type HealthEngine } from './engine.ts'
import type { Prober, ProbeResult } from './probe.ts'
import { healthReport } from './verdict.ts'

const GOOD: ProbeResult = { is: 'good', latencyMs: 1.23, detail: '200 OK' }
const SILENT: ProbeResult = { is: 'bad', failure: 'silent', detail: 'no answer within 2000 ms' }
const PATH = {
  is: 'path',
  mark: 4_097,
  vip: ip('10.1.0.100'),
  port: 80,
  source: ip('10.1.0.10'),
} as const

function check(key: string, fields: Partial<CheckState> = {}): CheckState {
  return {
    key,
    probe: { kind: 'tcp' },
    realServer: `rs-${key}`,
    address: ip('10.1.0.11'),
    port: 80,
    way: { is: 'direct' },
    intervalMs: 1_000,
    downIntervalMs: 1_000,
    jitterPercent: 0,
    timeoutMs: 500,
    rise: 2,
    fall: 3,
    graceMs: 0,
    damping: null,
    ...fields,
  }
}

/** An engine on a clock of its own. `answer` says what a probe gives; a promise that hangs is a probe under way. */
function world(answer: (...asked: Parameters<Prober>) => ReturnType<Prober> | ProbeResult) {
  const clock = createFakeClock()
  const stop = new AbortController()
  const events: HealthEvent[] = []
  const asked: { readonly key: string; readonly as: string; readonly atMs: number }[] = []
  const start = (inFlightMax = 1_000, recalled: CheckHealth[] = []): HealthEngine => {
    const engine = createHealthEngine({
      clock,
      seed: 1,
      inFlightMax,
      recalled,
      probe: async (one, as) => {
        asked.push({ key: one.key, as, atMs: clock.monotonicMs() })
        return answer(one, as)
      },
      onEvent: (event) => events.push(event),
    })
    void engine.run(stop.signal)
    return engine
  }
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 10) {
      clock.advance(10)
      // Microtasks of probes and of the loop.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return { clock, events, asked, start, pass, stop: () => stop.abort() }
}

describe('the engine', () => {
  it('asks each check once an interval, and says what it found', async () => {
    const { start, pass, asked, events, stop } = world(() => GOOD)
    const engine = start()
    engine.replace([check('a'), check('b')])
    assert.equal(engine.results.get('a')?.state, 'unknown')
    await pass(10_000)
    for (const key of ['a', 'b']) {
      const count = asked.filter((one) => one.key === key).length
      assert.ok(count >= 9 && count <= 11, `${key} was asked ${count} times in 10 s`)
    }
    const { state, detail, latencyMs } = engine.results.get('a') ?? assert.fail()
    assert.deepEqual([state, detail, latencyMs], ['up', '200 OK', 1.2])
    assert.deepEqual(events, [])
    stop()
  })

  it('tells of every change with its cause and time', async () => {
    let answer: ProbeResult = GOOD
    const { start, pass, events, stop } = world(() => answer)
    const engine = start()
    engine.replace([check('a')])
    await pass(2_000)
    answer = SILENT
    await pass(4_000)
    answer = GOOD
    await pass(3_000)
    assert.deepEqual(
      events.map(({ realServer, from, to, class: broken, cause }) => [
        realServer,
        `${from} ${to}`,
        broken,
        cause,
      ]),
      [
        ['rs-a', 'up down', 'unreachable', 'no answer within 2000 ms'],
        ['rs-a', 'down up', null, '200 OK'],
      ],
    )
    assert.ok(Date.parse(events[1]?.at ?? '') > Date.parse(events[0]?.at ?? ''))
    stop()
  })

  it('knows of a server that fell silent after fall x interval, twice the jitter and a timeout at most', async () => {
    const fields = { jitterPercent: 10, fall: 2, timeoutMs: 900 }
    for (let faultMs = 10_000; faultMs < 60_000; faultMs += 5_370) {
      const { clock, events, start, pass, stop } = world(async () => {
        if (clock.monotonicMs() < startedMs + faultMs) return GOOD
        await clock.sleep(fields.timeoutMs)
        return SILENT
      })
      const startedMs = clock.monotonicMs()
      start().replace([check('a', fields)])
      await pass(faultMs)
      assert.deepEqual(events, [])
      await pass(2 * 1_000 + 2 * 100 + 900 + 50)
      assert.deepEqual(
        events.map(({ to }) => to),
        ['down'],
        `fault after ${faultMs} ms`,
      )
      stop()
    }
  })

  it('asks less often while it is down', async () => {
    const { start, pass, asked, stop } = world(() => SILENT)
    start().replace([check('a', { downIntervalMs: 5_000, fall: 1 })])
    await pass(30_000)
    assert.ok(asked.length >= 6 && asked.length <= 8, `${asked.length} probes in 30 s`)
    stop()
  })

  it('a second probe to the own address tells server from path, only when it matters', async () => {
    let way: ProbeResult = GOOD
    let direct: ProbeResult = GOOD
    const { start, pass, asked, events, stop } = world((_, as) => (as === 'direct' ? direct : way))
    const engine = start()
    engine.replace([check('a', { way: PATH })])
    await pass(3_000)
    asked.length = 0
    await pass(5_000)
    assert.equal(asked.filter(({ as }) => as === 'direct').length, 0)
    way = SILENT
    await pass(5_000)
    assert.equal(engine.results.get('a')?.class, 'path-down')
    direct = SILENT
    await pass(2_000)
    assert.equal(engine.results.get('a')?.class, 'server-down')
    assert.deepEqual(
      events.map(({ from, to, class: broken }) => [from, to, broken]),
      [
        ['up', 'down', 'path-down'],
        ['down', 'down', 'server-down'],
      ],
    )
    stop()
  })

  it('a probe that cannot run changes nothing but what is said', async () => {
    let answer: ProbeResult = { is: 'cannot-run', detail: 'cannot run: EMFILE' }
    const { start, pass, events, stop } = world(() => answer)
    const engine = start()
    engine.replace([check('a')])
    await pass(10_000)
    const { state, detail } = engine.results.get('a') ?? assert.fail()
    assert.deepEqual([state, detail], ['unknown', 'cannot run: EMFILE'])
    answer = SILENT
    await pass(4_000)
    answer = { is: 'cannot-run', detail: 'cannot run: EMFILE' }
    await pass(10_000)
    assert.equal(engine.results.get('a')?.state, 'down')
    assert.equal(events.length, 1)
    stop()
  })

  it('what was down when the agent stopped is down until the first good answer', async () => {
    let answer: ProbeResult = SILENT
    const before = world(() => SILENT)
    const earlier = before.start()
    earlier.replace([check('a', { fall: 1 }), check('b', { fall: 1 })])
    await before.pass(2_000)
    before.stop()
    const { start, pass, events, stop } = world(() => answer)
    const engine = start(1_000, [...earlier.results.values()])
    engine.replace([check('a'), check('c')])
    assert.deepEqual(
      ['a', 'c'].map((key) => engine.results.get(key)?.state),
      ['down', 'unknown'],
    )
    assert.equal(engine.results.get('a')?.since, earlier.results.get('a')?.since)
    answer = GOOD
    await pass(1_000)
    assert.equal(engine.results.get('a')?.state, 'up')
    assert.deepEqual(
      events.map(({ realServer, to }) => `${realServer} ${to}`),
      ['rs-a up'],
    )
    // Only the first state recalls: what comes back later begins anew.
    engine.replace([check('b')])
    assert.equal(engine.results.get('b')?.state, 'unknown')
    stop()
  })

  it('a new state keeps the history of what stays, forgets what leaves and begins what comes', async () => {
    const { start, pass, asked, stop } = world(() => GOOD)
    const engine = start()
    engine.replace([check('a'), check('b')])
    await pass(2_000)
    const since = engine.results.get('a')?.since
    engine.replace([check('a'), check('c')])
    assert.deepEqual(
      ['a', 'b', 'c'].map((key) => engine.results.get(key)?.state),
      ['up', undefined, 'unknown'],
    )
    asked.length = 0
    await pass(3_000)
    assert.deepEqual(new Set(asked.map(({ key }) => key)), new Set(['a', 'c']))
    assert.equal(engine.results.get('a')?.since, since)
    stop()
  })

  it('what leaves and comes back while its probe is under way begins anew', async () => {
    const hanging: PromiseWithResolvers<ProbeResult>[] = []
    const { start, pass, stop } = world(() => {
      const probe = Promise.withResolvers<ProbeResult>()
      hanging.push(probe)
      return probe.promise
    })
    const engine = start()
    engine.replace([check('a', { fall: 1 })])
    await pass(2_000)
    assert.equal(hanging.length, 1)
    engine.replace([])
    engine.replace([check('a', { fall: 1 })])
    hanging[0]?.resolve(SILENT)
    await pass(10)
    assert.equal(engine.results.get('a')?.state, 'unknown')
    await pass(2_000)
    assert.equal(hanging.length, 2)
    stop()
  })

  it('never has more under way than it may, nor two of one check, and forgets none that waited', async () => {
    const hanging: PromiseWithResolvers<ProbeResult>[] = []
    const { start, pass, asked, stop } = world(() => {
      const probe = Promise.withResolvers<ProbeResult>()
      hanging.push(probe)
      return probe.promise
    })
    const engine = start(3)
    engine.replace(['a', 'b', 'c', 'd', 'e'].map((key) => check(key)))
    await pass(5_000)
    assert.equal(asked.length, 3)
    assert.equal(new Set(asked.map(({ key }) => key)).size, 3)
    for (const probe of hanging.splice(0)) probe.resolve(GOOD)
    await pass(20)
    assert.equal(asked.length, 5)
    for (const probe of hanging.splice(0)) probe.resolve(GOOD)
    await pass(20)
    assert.equal([...engine.results.values()].filter(({ state }) => state === 'up').length, 5)
    stop()
  })

  it('reports what is worst first, within its bounds', async () => {
    const { start, pass, events, stop } = world((one) => (one.key < 'k005' ? SILENT : GOOD))
    const engine = start()
    engine.replace(
      Array.from({ length: 400 }, (_, i) => check(`k${String(i).padStart(3, '0')}`, { fall: 1 })),
    )
    await pass(3_000)
    const report = healthReport(engine.results, [
      ...events,
      ...events,
      ...events,
      ...events,
      ...events,
      ...events,
      ...events,
    ])
    assert.deepEqual(report?.counts, { up: 395, down: 5, held: 0, unknown: 0 })
    assert.deepEqual(
      report.checks.slice(0, 6).map(({ state }) => state),
      ['down', 'down', 'down', 'down', 'down', 'up'],
    )
    assert.equal(report.checks.length, 256)
    assert.equal(report.events.length, 32)
    assert.equal(healthReport(new Map(), []), null)
    stop()
  })
})
