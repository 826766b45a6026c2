/**
 * docs/spill-over.md shows what the code does: its tables are computed here from the example and compared.
 * `UPDATE_DOCS=1 node --test test/flow/spill-over-page.test.ts` writes them anew.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { PROPORTIONAL_SCHEDULERS, SCHEDULERS, type ServiceState } from '@lvs-fleet/contract'
import { parse } from 'yaml'
import { targetShares, type LevelHealth } from '../../services/agent/src/weigh/level-shares.ts'
import { weigh, type Memory } from '../../services/agent/src/weigh/weigh.ts'
import { compileFleet } from '../../services/api/src/compile/compile.ts'
import { fleetFromDocument, fleetSchema } from '../../services/api/src/intent/fleet.ts'
import { validateFleet } from '../../services/api/src/intent/validate.ts'

const PAGE = new URL('../../docs/spill-over.md', import.meta.url)
const EXAMPLE = new URL('../../examples/spill-over.yaml', import.meta.url)
const POLICY = { overprovisioningFactor: 1.4, panicThresholdPercent: 50, capacities: [] }

const FRACTIONS = [
  [100, 100],
  [80, 100],
  [72, 100],
  [71, 100],
  [50, 100],
  [25, 100],
  [0, 100],
  [72, 72],
  [50, 60],
  [50, 50],
  [25, 25],
  [5, 65],
  [0, 25],
] as const

const half = (level: number, up: number): LevelHealth => ({
  level,
  full: 100,
  wanted: 100,
  up,
  availableBySite: new Map(up === 0 ? [] : [['x', up]]),
})

function sharesTable(): string[][] {
  const rows = FRACTIONS.map(([first, second]) => {
    const shown = targetShares([half(0, first), half(1, second)], POLICY).map(
      ({ share, isPanic }) => `${percent(share / 100)}${isPanic ? ', panic' : ''}`,
    )
    return [`${first} %`, `${second} %`, ...shown]
  })
  return [['level 0 is up', 'level 1 is up', 'level 0 gets', 'level 1 gets'], ...rows]
}

function example(): ServiceState {
  const fleet = fleetFromDocument(fleetSchema.parse(parse(readFileSync(EXAMPLE, 'utf8'))))
  assert.deepEqual(validateFleet(fleet), [])
  const { problems, warnings, hosts } = compileFleet(fleet)
  assert.deepEqual([problems, warnings], [[], []])
  const service = hosts.get('director/dir-a')?.state.services[0]
  assert.ok(service !== undefined)
  return service
}

/** The service from when all were up, at each moment when something moves. */
function history(service: ServiceState, down: readonly string[]): ServiceState[] {
  const seen: ServiceState[] = []
  let memory: Memory | undefined
  let nowMs = 1_000_000
  for (let isHealthy = true; ; isHealthy = false) {
    const { monotonicMs, wallMs } = { monotonicMs: nowMs, wallMs: nowMs }
    const state = (name: string) => (!isHealthy && down.includes(name) ? 'down' : 'up')
    const weighed = weigh(service, {
      healthOf: ({ realServer }) => ({ state: state(realServer), sinceMs: nowMs, why: '' }),
      now: { monotonicMs, wallMs },
      before: memory === undefined ? undefined : service,
      memory,
    })
    seen.push(weighed.service)
    memory = weighed.memory
    if (!isHealthy && weighed.nextMs === null) return seen
    nowMs = weighed.nextMs ?? nowMs + 60_000
  }
}

const SITES = [
  ['rs-a1', 'rs-a2', 'rs-a3', 'rs-a4'],
  ['rs-b1', 'rs-b2'],
  ['rs-c1'],
  ['sorry-a'],
] as const

/** The share of each group of real servers, and its weights. */
function cells({ destinations }: ServiceState): string[] {
  const weightOf = (name: string) =>
    destinations.find(({ realServer }) => realServer === name)?.weight ?? 0
  const sum = destinations.reduce((total, { weight }) => total + weight, 0)
  return SITES.map((names) => {
    const weights = names.map(weightOf)
    const share = (100 * weights.reduce((total, weight) => total + weight, 0)) / sum
    return `${percent(share)} (${weights.join(', ')})`
  })
}

const HEADS = ['site a', 'site b', 'site c', 'sorry']
const CASES: readonly (readonly string[])[] = [
  [],
  ['rs-a1'],
  ['rs-a1', 'rs-a2'],
  ['rs-a1', 'rs-a2', 'rs-a3'],
  ['rs-a1', 'rs-a2', 'rs-a3', 'rs-a4'],
  ['rs-a1', 'rs-a2', 'rs-a3', 'rs-a4', 'rs-b1'],
  ['rs-a1', 'rs-a2', 'rs-a3', 'rs-a4', 'rs-b1', 'rs-b2', 'rs-c1'],
]

function exampleTable(): string[][] {
  const rows = CASES.map((down) => {
    const last = history(example(), down).at(-1)
    assert.ok(last !== undefined)
    return [down.length === 0 ? 'nobody' : down.join(', '), ...cells(last)]
  })
  return [['down', ...HEADS], ...rows]
}

function stepsTable(): string[][] {
  const steps = history(example(), ['rs-a1', 'rs-a2'])
  assert.equal(steps.length, 3)
  const when = ['before', 'at once', 'after 10 s']
  return [['', ...HEADS], ...steps.map((step, i) => [when[i] ?? '', ...cells(step)])]
}

/** Whole where it is whole. */
function percent(value: number): string {
  return `${Math.round(value * 10) / 10} %`
}

function tableText(rows: readonly (readonly string[])[]): string {
  const line = (cellTexts: readonly string[]) => `| ${cellTexts.join(' | ')} |`
  const [head = [], ...rest] = rows
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rest.map(line)].join('\n')
}

/** The page with each table after its mark as it is computed now. */
function renewed(page: string): string {
  const tables = { shares: sharesTable(), example: exampleTable(), steps: stepsTable() }
  let text = page
  for (const [mark, rows] of Object.entries(tables)) {
    const place = new RegExp(`<!-- ${mark} -->\n\n(\\|[^\n]*\n)*\n?`)
    assert.match(text, place, `the page has no place for ${mark}`)
    text = text.replace(place, () => `<!-- ${mark} -->\n\n${tableText(rows)}\n\n`)
  }
  return text
}

test('the tables of docs/spill-over.md are what the code computes', () => {
  const page = readFileSync(PAGE, 'utf8')
  const fresh = renewed(page)
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(PAGE, fresh)
  else assert.equal(page, fresh, 'docs/spill-over.md is stale: run this test with UPDATE_DOCS=1')
})

test('its list of schedulers is that of the code', () => {
  const page = readFileSync(PAGE, 'utf8')
  const rows = [...page.matchAll(/^\| ([a-z, ]+) \| (yes|no)\b/gm)]
  const said = new Map(
    rows.flatMap(([, names = '', verdict]) => names.split(', ').map((name) => [name, verdict])),
  )
  assert.equal(said.size, SCHEDULERS.length)
  for (const scheduler of SCHEDULERS) {
    assert.equal(said.get(scheduler) === 'yes', PROPORTIONAL_SCHEDULERS.has(scheduler), scheduler)
  }
})
