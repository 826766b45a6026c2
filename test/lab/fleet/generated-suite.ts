/**
 * What the agent programs equals what ipvsadm and ip print, for thousands of generated virtual services over the
 * whole vocabulary and for generated devices, addresses and GUE ports; after each state nothing is left to do.
 * One run a host: an empty kernel, a table, tables next to it, and nothing again.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { EMPTY_HOST_STATE, schedulerSchema, type HostState } from '@lvs-fleet/contract'
import fc from 'fast-check'
import { buildAgent } from '../../../scripts/build.ts'
import {
  ipvsadmLines,
  neighbourOf,
  tableOf,
  thresholdLines,
  type Service,
} from '../kernel/tables.ts'
import { startLab, type Lab } from '../lab.ts'
import {
  hostTableOf,
  NO_HOST_TABLE,
  shownLines,
  wantedLines,
  type HostTable,
} from './host-tables.ts'

const NEIGHBOUR_COUNT = 2
const HOSTS = ['dir-a', 'dir-b'] as const
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)

type Table = { readonly services: readonly Service[]; readonly host: HostTable }

type Size = {
  /** In each table; a third of them anew in each neighbour, and a third with other settings. */
  readonly services: number
  /** Less than this over all runs would not be what the size promises. */
  readonly generatedMin: number
}

export function generatedSuite({ services, generatedMin }: Size): void {
  describe('agent, ipvsadm and ip agree on generated states', () => {
    let lab: Lab
    let bundle: string
    let generatedCount = 0

    before(async () => {
      bundle = await buildAgent()
      lab = await startLab()
    })
    after(async () => lab.stop())

    for (const [run, host] of HOSTS.entries()) {
      it(`${host}, SEED=${seed}`, async () => {
        const tables = tablesOf(lab, host, services, seed + run)
        generatedCount += distinctServiceCount(tables)
        for (const [step, table] of tables.entries()) {
          const name = `${host}-${step}`
          await agent(host, 'apply', stateFile(lab, name, table), '--allow-shrink')
          assertSame(await lab.ipvsadm(host), ipvsadmLines(table.services), `${name}: ipvsadm`)
          assertSame(
            parseThresholds(await lab.sh(host, 'ipvsadm -Ln --thresholds')),
            thresholdLines(table.services),
            `${name}: thresholds`,
          )
          assertSame(await shownLines(lab, host), wantedLines(table.host), `${name}: ip`)
          const plan = await agent(host, 'run', '--dry-run', '--detailed-exitcode')
          assert.equal(plan, 'no changes\n')
        }
      })
    }

    it(`that were ${generatedMin} virtual services or more`, (t) => {
      t.diagnostic(`${generatedCount} generated virtual services, SEED=${seed}`)
      assert.ok(generatedCount >= generatedMin, `${generatedCount}`)
    })

    async function agent(host: string, ...words: readonly string[]): Promise<string> {
      const stateDir = `${lab.guestDir}/generated-${host}`
      const command = [process.execPath, bundle, ...words, '--state-dir', stateDir]
      return lab.sh(host, command, { timeoutMs: 120_000 })
    }
  })
}

/** A table, neighbours of it, and nothing. */
function tablesOf(lab: Lab, host: string, count: number, runSeed: number): Table[] {
  const tables: Table[] = []
  for (let step = 0; step <= NEIGHBOUR_COUNT; step++) {
    const before = tables.at(-1)
    const next = fc.record({
      services: before === undefined ? tableOf(count) : neighbourOf(before.services),
      host: hostTableOf(lab, host),
    })
    tables.push(...fc.sample(next, { seed: runSeed + step * HOSTS.length, numRuns: 1 }))
  }
  return [...tables, { services: [], host: NO_HOST_TABLE }]
}

/** Services with settings that no table before had. */
function distinctServiceCount(tables: readonly Table[]): number {
  return new Set(tables.flatMap(({ services }) => services.map((one) => JSON.stringify(one)))).size
}

/** As sets, and only what differs: a diff of thousands of lines says nothing. */
function assertSame(shown: readonly string[], wanted: readonly string[], what: string): void {
  const shownSet = new Set(shown)
  const wantedSet = new Set(wanted)
  const missing = wanted.filter((line) => !shownSet.has(line)).slice(0, 10)
  const unexpected = shown.filter((line) => !wantedSet.has(line)).slice(0, 10)
  assert.deepEqual({ missing, unexpected }, { missing: [], unexpected: [] }, what)
  assert.equal(shown.length, wanted.length, `${what}: lines that stand twice`)
}

/** Thresholds are not among what `ipvsadm -Sn` prints; `ipvsadm -Ln --thresholds` as `thresholdLines` says it. */
function parseThresholds(text: string): string[] {
  const lines: string[] = []
  let service = ''
  for (const line of text.split('\n')) {
    const [, protocol, name, six = ''] = /^(TCP|UDP|SCTP|FWM) +(\S+)( IPv6)?/.exec(line) ?? []
    if (protocol !== undefined) service = `${protocol} ${name}${six}`
    const [, end, upper, lower] = /^ {2}-> (\S+) +(\d+) +(\d+) +\d+ +\d+/.exec(line) ?? []
    if (end !== undefined) lines.push(`${service} > ${end} ${upper} ${lower}`)
  }
  return lines
}

/** A plain host state in the folder that the guest shares; gives its path there. */
function stateFile(lab: Lab, name: string, { services, host }: Table): string {
  const state: HostState = {
    ...EMPTY_HOST_STATE,
    ...host,
    services: services.map(({ ref, config, destinations }) => ({
      ...ref,
      ...config,
      scheduler: schedulerOf(config.scheduler),
      name,
      drainSeconds: 0,
      destinations: destinations.map((one) => ({ ...one.ref, ...one.config, realServer: 'any' })),
    })),
  }
  writeFileSync(join(lab.dir, `${name}.json`), JSON.stringify(state))
  return `${lab.guestDir}/${name}.json`
}

/** Generated from our own list, so it parses. */
function schedulerOf(name: string): HostState['services'][number]['scheduler'] {
  return schedulerSchema.parse(name)
}
