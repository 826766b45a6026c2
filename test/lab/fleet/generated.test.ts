/** What the agent programs equals what ipvsadm prints, for generated states, edits and removals; then nothing is left to do. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { EMPTY_HOST_STATE, schedulerSchema, type HostState } from '@lvs-fleet/contract'
import fc from 'fast-check'
import { buildAgent } from '../../../scripts/build.ts'
import { editsOf, ipvsadmLines, tableOf, type Service } from '../kernel/tables.ts'
import { startLab, type Lab } from '../lab.ts'

const SERVICE_COUNT = 120
/** One seed a host, so that each begins with an empty kernel. SEED=N tries another. */
const RUNS =
  process.env['SEED'] === undefined
    ? [
        { host: 'dir-a', seed: 1 },
        { host: 'dir-b', seed: 2 },
      ]
    : [{ host: 'dir-a', seed: Number(process.env['SEED']) }]

describe('agent and ipvsadm agree on generated states', () => {
  let lab: Lab
  let bundle: string

  before(async () => {
    bundle = await buildAgent()
    lab = await startLab()
  })
  after(async () => lab.stop())

  for (const { host, seed } of RUNS) {
    it(`seed ${seed}`, async () => {
      const [table = []] = fc.sample(tableOf(SERVICE_COUNT), { seed, numRuns: 1 })
      const [edited = []] = fc.sample(editsOf(table), { seed, numRuns: 1 })
      // A third of the services goes, and the first destination of each that stays.
      const shrunk = edited
        .slice(0, Math.ceil((SERVICE_COUNT * 2) / 3))
        .map((service) => ({ ...service, destinations: service.destinations.slice(1) }))
      for (const [step, wanted] of [table, edited, shrunk].entries()) {
        await agent(host, 'apply', stateFile(lab, `seed-${seed}-${step}`, wanted), '--allow-shrink')
        assert.deepEqual(await lab.ipvsadm(host), ipvsadmLines(wanted), `step ${step}`)
        const plan = await agent(host, 'run', '--dry-run', '--detailed-exitcode')
        assert.equal(plan, 'no changes\n')
      }
    })
  }

  async function agent(host: string, ...words: readonly string[]): Promise<string> {
    const stateDir = `${lab.guestDir}/generated-${host}`
    const command = [process.execPath, bundle, ...words, '--state-dir', stateDir]
    return lab.sh(host, command, { timeoutMs: 60_000 })
  }
})

/** A plain host state in the folder that the guest shares; gives its path there. */
function stateFile(lab: Lab, name: string, table: readonly Service[]): string {
  const state: HostState = {
    ...EMPTY_HOST_STATE,
    services: table.map(({ ref, config, destinations }) => ({
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
