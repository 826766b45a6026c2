import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  ip,
  serviceKey,
  type CheckHealth,
  type ServiceState,
  type StatusReport,
  type WeighedDestination,
  type WeightFactor,
} from '@lvs-fleet/contract'
import { makeReport } from '../../../../../test/fakes/agent-client.ts'
import { destination, service } from '../../../../../test/fakes/states.ts'
import { checkHealth, healthReport as health } from '../../../../../test/fixtures/health-reports.ts'
import type { NewEvent } from '../event.ts'
import { REPORT_EVENTS_MAX, reportEvents } from './report-events.ts'
import { servicesByKey, type Seen } from './seen.ts'

const AT = new Date('2026-11-28T12:00:10.000Z')
const WEB = service('10.1.0.100', [
  destination('10.1.0.11', { weight: 100, checks: ['c1'] }),
  destination('10.1.0.12', { weight: 100, checks: ['c2'] }),
])
const KEY = serviceKey(WEB)
const V1 = { epoch: 1, generation: 1, digest: 'd1' }
const V2 = { epoch: 1, generation: 2, digest: 'd2' }

function seen(
  before: Partial<StatusReport> | null,
  now: Partial<StatusReport>,
  other: Partial<Seen> & { readonly in?: readonly ServiceState[] } = {},
): Seen {
  const { in: services = [WEB], ...rest } = other
  return {
    role: 'director',
    name: 'dir-a',
    site: 'site-a',
    before: before === null ? null : makeReport(1, before),
    beforeAt: new Date(AT.getTime() - 10_000),
    now: makeReport(2, now),
    at: AT,
    published: null,
    services: servicesByKey(services),
    wasStale: false,
    ...rest,
  }
}

const said = (events: readonly NewEvent[]): string[] =>
  events.map(({ kind, severity, message }) => `${severity} ${kind}: ${message}`)

function check(
  key: string,
  state: CheckHealth['state'],
  changed: Partial<CheckHealth> = {},
): CheckHealth {
  const asked = { key, realServer: `rs-${key}`, address: ip('10.1.0.11'), port: 80 }
  const detail = state === 'up' ? 'connected' : 'connection refused'
  const since = '2026-11-28T12:00:05.000Z'
  const tcp = { ...asked, probe: { kind: 'tcp' } } as const
  return checkHealth(tcp, { state, since, detail, ...changed })
}

function flap(key: string, at: string, from: CheckHealth['state'], to: CheckHealth['state']) {
  const { kind, realServer, address, port } = check(key, to)
  return { key, kind, realServer, address, port, at, from, to, class: null, cause: `it is ${to}` }
}

const NEUTRAL = { intent: 100, override: 1, health: 1, levelShare: 1, ramp: 1 }

function weighed(
  destinationName: string,
  weight: number,
  factors: Partial<typeof NEUTRAL>,
  why: Readonly<Record<string, string>> = {},
): WeighedDestination {
  return {
    service: KEY,
    destination: destinationName,
    realServer: 'rs-10.1.0.11',
    weight,
    factors: Object.entries({ ...NEUTRAL, ...factors }).map(([name, value]): WeightFactor => ({
      name: name as WeightFactor['name'],
      value,
      since: value === 1 ? null : '2026-11-28T12:00:06.000Z',
      why: why[name] ?? 'none',
    })),
  }
}

const weights = (...list: WeighedDestination[]) => ({ weights: list, weightCount: list.length })
type Step = readonly [number: number, at: string, from: number, now: WeighedDestination]

/** Changes that an agent lists; one at intent's own weight has no factors. */
function changes(
  steps: readonly Step[],
  { since = '2026-11-28T11:00:00.000Z', count = steps.length, droppedCount = 0 } = {},
): Pick<StatusReport, 'weightChanges'> {
  const list = steps.map(([number, at, from, now]) => {
    const { weight: to, factors, ...where } = now
    return { ...where, number, at, from, to, factors: to === 100 ? [] : factors }
  })
  return { weightChanges: { since, count, droppedCount, list } }
}

const DIED = weighed('10.1.0.11:80', 0, { health: 0 }, { health: 'server-down: refused' })
const CAME: Step = [2, '2026-11-28T12:00:08.000Z', 0, weighed('10.1.0.11:80', 100, {})]
const WENT: Step = [1, '2026-11-28T12:00:06.000Z', 100, DIED]
const WENT_TOLD = `warning weight.changed: weight of rs-10.1.0.11 in ${WEB.name} on dir-a: 100 to 0, health 1 to 0: server-down: refused`
const CAME_TOLD = `info weight.changed: weight of rs-10.1.0.11 in ${WEB.name} on dir-a: 0 to 100, health 0 to 1: as intent says`

const drain = (remainingSeconds: number, connections: number) => ({
  drains: [{ service: KEY, destination: '10.1.0.13:80', remainingSeconds, connections }],
  drainCount: 1,
})

const ROWS: { name: string; given: Seen; want: string[] }[] = [
  { name: 'nothing changed', given: seen({ applied: V1 }, { applied: V1 }), want: [] },
  {
    name: 'applied and converged',
    given: seen({ applied: V1 }, { applied: V2, source: 'control-plane' }, { published: V2 }),
    want: [
      'info state.applied: dir-a has generation 2 in force: 0 virtual services, 0 destinations',
      'info condition.changed: dir-a: converged is true: generation 2 is in the kernel',
    ],
  },
  {
    name: 'refused',
    given: seen(
      {},
      { rejected: { code: 'shrink-held', detail: '9 of 10 would go', epoch: 1, generation: 2 } },
    ),
    want: ['error state.rejected: dir-a refuses generation 2: shrink-held: 9 of 10 would go'],
  },
  {
    name: 'refused no more',
    given: seen({ rejected: { code: 'bad-digest', detail: 'x', epoch: 1, generation: 2 } }, {}),
    want: ['info state.accepted: dir-a no longer refuses what is published (bad-digest)'],
  },
  {
    name: 'held, then on',
    given: seen({ held: null }, { held: 'kernel upgrade' }),
    want: ['warning host.held: the agent on dir-a is held: kernel upgrade'],
  },
  {
    name: 'resumed',
    given: seen({ held: 'kernel upgrade' }, { held: null }),
    want: ['info host.resumed: the agent on dir-a goes on; it was held: kernel upgrade'],
  },
  {
    name: 'booted',
    given: seen({ bootId: 'a' }, { bootId: 'b' }),
    want: ['warning host.rebooted: dir-a was booted; the agent puts everything back'],
  },
  {
    name: 'ops failed',
    given: seen(
      {},
      {
        failedOps: [{ op: 'service.create x', code: 'ENOENT', message: 'no scheduler' }],
        failedOpCount: 3,
      },
    ),
    want: [
      'error ops.failed: the kernel of dir-a does not take 3 operations, such as service.create x: ENOENT no scheduler',
    ],
  },
  {
    name: 'drift: each repair once, and those that the report has no room for',
    given: seen(
      { drift: [{ at: '2026-11-28T12:00:01.000Z', op: 'one' }], driftCount: 1 },
      {
        drift: [
          { at: '2026-11-28T12:00:01.000Z', op: 'one' },
          { at: '2026-11-28T12:00:02.000Z', op: 'two' },
        ],
        driftCount: 5,
      },
    ),
    want: [
      'warning drift.repaired: dir-a undid what somebody else changed: two',
      'warning drift.repaired: dir-a undid more than it names: 3 repairs that the report does not name',
    ],
  },
  {
    name: 'a flap between two reports is told whole, from the list that agents carry',
    given: seen(
      { health: health([check('c1', 'up')]) },
      {
        health: health(
          [check('c1', 'up')],
          [
            flap('c1', '2026-11-28T12:00:03.000Z', 'up', 'down'),
            flap('c1', '2026-11-28T12:00:04.000Z', 'down', 'up'),
          ],
        ),
      },
    ),
    want: [
      'error health.changed: rs-c1 is down for dir-a, tcp 10.1.0.11:80: it is down',
      'info health.changed: rs-c1 is up for dir-a, tcp 10.1.0.11:80: it is up',
    ],
  },
  {
    name: 'what the list no longer has is found by the states',
    given: seen({ health: health([check('c1', 'up')]) }, { health: health([check('c1', 'down')]) }),
    want: [
      'error health.changed: rs-c1 is down (server-down) for dir-a, tcp 10.1.0.11:80: connection refused',
    ],
  },
  {
    name: 'a first look is no change, unless it is bad',
    given: seen(null, {
      health: health([check('c1', 'down'), check('c2', 'up'), check('c3', 'unknown')]),
    }),
    want: [
      'error health.changed: rs-c1 is down (server-down) for dir-a, tcp 10.1.0.11:80: connection refused',
    ],
  },
  {
    name: 'a weight with the factor that moved it',
    given: seen(
      {},
      weights(
        weighed('10.1.0.11:80', 0, { health: 0 }, { health: 'server-down: connection refused' }),
      ),
    ),
    want: [
      `warning weight.changed: weight of rs-10.1.0.11 in ${WEB.name} on dir-a: 100 to 0, health 1 to 0: server-down: connection refused`,
    ],
  },
  {
    name: 'a weight that is intent’s again is no longer listed',
    given: seen(weights(weighed('10.1.0.11:80', 0, { health: 0 })), {}),
    want: [
      `info weight.changed: weight of rs-10.1.0.11 in ${WEB.name} on dir-a: 0 to 100, health 0 to 1: as intent says`,
    ],
  },
  {
    name: 'a weight that went and came back between two reports',
    given: seen({}, changes([WENT, CAME])),
    want: [WENT_TOLD, CAME_TOLD],
  },
  {
    name: 'a weight that went, and is listed as gone, once',
    given: seen({}, { ...weights(DIED), ...changes([WENT]) }),
    want: [WENT_TOLD],
  },
  {
    name: 'changes that the report before had, once',
    given: seen({ ...weights(DIED), ...changes([WENT]) }, changes([WENT, CAME])),
    want: [CAME_TOLD],
  },
  {
    name: 'changes of another life of the agent, whatever their numbers',
    given: seen(
      changes([], { count: 9, since: '2026-11-28T10:00:00.000Z' }),
      changes([WENT, CAME]),
    ),
    want: [WENT_TOLD, CAME_TOLD],
  },
  {
    name: 'changes that no report lists are counted',
    given: seen(changes([], { count: 5, droppedCount: 2 }), {
      ...changes([], { count: 12, droppedCount: 9 }),
    }),
    want: [
      'warning events.more: 7 more changes on dir-a; what stands now: lvsfleet status, lvsfleet health',
    ],
  },
  {
    name: 'but not those that can be concluded',
    given: seen({}, { ...weights(DIED), ...changes([], { count: 3, droppedCount: 3 }) }),
    want: [
      WENT_TOLD,
      'warning events.more: 2 more changes on dir-a; what stands now: lvsfleet status, lvsfleet health',
    ],
  },
  {
    name: 'a destination that left the state has a drain, and no weight any more',
    given: seen(weights(weighed('10.1.0.99:80', 0, { health: 0 })), drain(60, 12)),
    want: [
      `info drain.began: 10.1.0.13:80 drains in ${WEB.name} on dir-a: 12 connections, at most 60 s`,
    ],
  },
  {
    name: 'a drain that ended idle',
    given: seen(drain(60, 3), {}),
    want: [
      `info drain.ended: the drain of 10.1.0.13:80 in ${WEB.name} on dir-a is over: no connection is left`,
    ],
  },
  {
    name: 'a drain that ran into its deadline',
    given: seen(drain(9, 3), {}),
    want: [
      `warning drain.ended: the drain of 10.1.0.13:80 in ${WEB.name} on dir-a is over: the time is over, with 3 connections when last seen`,
    ],
  },
  {
    name: 'reports again',
    given: seen({}, {}, { wasStale: true }),
    want: ['info host.returned: dir-a reports again: silent since 2026-11-28T12:00:00.000Z'],
  },
]

describe('reports make events', () => {
  for (const { name, given, want } of ROWS) {
    test(name, () => assert.deepEqual(said(reportEvents(given)), want))
  }

  test('a spill-over is one event for each level, with the share it had', () => {
    const policy = {
      overprovisioningFactor: 1.4,
      panicThresholdPercent: 50,
      hysteresisPercent: 0,
      maxChangePercent: 100,
      changeIntervalSeconds: 1,
      slowStartSeconds: 0,
      capacities: [],
    }
    const placed = (address: string, level: number) =>
      destination(address, { weight: 100, placement: { level, site: 'site-a', fullWeight: 100 } })
    const web = service(
      '10.1.0.100',
      [placed('10.1.0.11', 0), placed('10.1.0.12', 0), placed('10.1.0.13', 1)],
      { policy },
    )
    const list = weights(
      weighed('10.1.0.11:80', 70, { levelShare: 0.7 }, { levelShare: 'level 0 takes 70 %' }),
      weighed('10.1.0.12:80', 70, { levelShare: 0.7 }, { levelShare: 'level 0 takes 70 %' }),
      weighed('10.1.0.13:80', 30, { levelShare: 0.3 }, { levelShare: 'level 1 takes 30 %' }),
    )
    const quiet = weights(weighed('10.1.0.13:80', 0, { levelShare: 0 }))
    assert.deepEqual(
      said(reportEvents(seen(quiet, list, { in: [web] }))).filter((line) =>
        line.includes('level.'),
      ),
      [
        `warning level.changed: ${web.name} on dir-a: level 0 takes 70 %, from 100 %`,
        `warning level.changed: ${web.name} on dir-a: level 1 takes 30 %, from 0 %`,
      ],
    )
  })

  test('each step of a share between two reports is an event of its own', () => {
    const placed = (address: string, level: number) =>
      destination(address, { weight: 100, placement: { level, site: 'site-a', fullWeight: 100 } })
    const web = service('10.1.0.100', [placed('10.1.0.11', 0), placed('10.1.0.13', 1)])
    const share = (at: string, weight: number, to: number) => {
      const why = { levelShare: `level 1 takes ${to} %` }
      const said = weighed('10.1.0.13:80', weight, { levelShare: to / 100 }, why)
      const factors = said.factors.map((one) => ({ ...one, since: at }))
      return { ...said, factors }
    }
    const quiet = share('2026-11-28T11:00:00.000Z', 0, 0)
    const [first, second] = ['2026-11-28T12:00:01.000Z', '2026-11-28T12:00:05.000Z'] as const
    const steps: Step[] = [
      [1, first, 0, share(first, 20, 20)],
      [2, second, 20, share(second, 30, 30)],
    ]
    const now = { ...weights(share(second, 30, 30)), ...changes(steps) }
    const events = reportEvents(seen(weights(quiet), now, { in: [web] }))
    assert.deepEqual(
      events.map(({ kind, at, message }) => [kind, at.toISOString(), message.split(', ')[1]]),
      [
        ['level.changed', first, 'from 0 %'],
        ['level.changed', second, 'from 20 %'],
        ['weight.changed', first, 'levelShare 0 to 0.2: level 1 takes 20 %'],
        ['weight.changed', second, 'levelShare 0.2 to 0.3: level 1 takes 30 %'],
      ],
    )
  })

  test('panic: nobody is up, and yet the weights stand; and its end', () => {
    const allDown = { health: health([check('c1', 'down'), check('c2', 'down')]) }
    const began = reportEvents(
      seen({ health: health([check('c1', 'down'), check('c2', 'up')]) }, allDown),
    )
    assert.deepEqual(said(began.filter(({ kind }) => kind === 'panic.began')), [
      `error panic.began: panic: ${WEB.name} on dir-a ignores health in the whole service: 0 of 2 are up`,
    ])
    const ended = reportEvents(
      seen(allDown, { health: health([check('c1', 'up'), check('c2', 'down')]) }),
    )
    assert.deepEqual(said(ended.filter(({ kind }) => kind === 'panic.ended')).length, 1)
    // Down and without weight is health at work, not panic.
    const works = weights(
      weighed('10.1.0.11:80', 0, { health: 0 }),
      weighed('10.1.0.12:80', 0, { health: 0 }),
    )
    assert.deepEqual(
      reportEvents(seen({}, { ...allDown, ...works })).filter(({ kind }) => kind === 'panic.began'),
      [],
    )
  })

  test('too many changes are cut to the worst, and the last event says how many more', () => {
    const many = Array.from({ length: 150 }, (_, n) => check(`k${n}`, n < 40 ? 'held' : 'down'))
    const events = reportEvents(seen({}, { health: health(many) }))
    assert.equal(events.length, REPORT_EVENTS_MAX)
    assert.equal(events.at(-1)?.kind, 'events.more')
    assert.match(events.at(-1)?.message ?? '', /^51 more changes on dir-a/)
    assert.ok(events.slice(0, -1).every(({ severity }) => severity === 'error'))
  })

  test('what is written on hosts cannot break lines', () => {
    const [event] = reportEvents(seen({}, { held: 'one\ndata: two\r\n\u001b[2Jthree' }))
    assert.equal(event?.message, 'the agent on dir-a is held: one data: two [2Jthree')
  })

  test('the same report again makes none, whatever it says', () => {
    const states = fc.constantFrom('up', 'down', 'held', 'unknown' as const)
    const reports = fc.record({
      held: fc.option(fc.string({ maxLength: 20 })),
      checks: fc.array(states, { maxLength: 4 }),
      weight: fc.option(fc.nat(200)),
      changed: fc.nat(3),
      dropped: fc.nat(3),
      drains: fc.boolean(),
      drift: fc.nat(3),
      generation: fc.option(fc.nat(3)),
    })
    fc.assert(
      fc.property(reports, reports, (a, b) => {
        const [before, now] = [a, b].map(
          ({ held, checks, weight, drains, drift, generation, ...more }) => ({
            held,
            health: health(checks.map((state, n) => check(`c${n}`, state))),
            ...(weight === null
              ? {}
              : weights(weighed('10.1.0.11:80', weight, { health: weight / 100 }))),
            ...changes([WENT, CAME, WENT].slice(0, more.changed), { droppedCount: more.dropped }),
            ...(drains ? drain(30, 2) : {}),
            driftCount: drift,
            applied:
              generation === null ? null : { epoch: 1, generation: generation + 1, digest: 'x' },
          }),
        )
        assert.ok(before && now)
        assert.deepEqual(reportEvents(seen(now, now)), [])
        for (const event of reportEvents(seen(before, now))) {
          assert.equal(event.director, 'dir-a')
          assert.ok(event.message.length > 0 && event.at <= AT)
        }
      }),
    )
  })
})
