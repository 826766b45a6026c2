/**
 * One end is a minor version newer than the other: each message with fields that its reader does not know, and without those
 * that its writer does not know. A state goes through the agent's own reader into a kernel.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { enrolRequestSchema, statusReportSchema, type HostState } from '@lvs-fleet/contract'
import * as z from 'zod'
import { compileFleet } from '../../services/api/src/compile/compile.ts'
import { shardsOf } from '../../services/api/src/verbs/shard-host.ts'
import { parseShard } from '../../services/agent/src/state/read-shard.ts'
import { createFakeHost } from '../fakes/fake-host.ts'
import { destination, hostState, service } from '../fakes/states.ts'
import { threeSites } from '../fixtures/three-sites.ts'
import { fromTheFuture, WIRE_MESSAGES } from '../fixtures/wire-messages.ts'

describe('every message', () => {
  test('is in the list: each schema of a call, and each field that it has', () => {
    const text = ['agent-api', 'host-identity']
      .map((name) => new URL(`../../contract/src/${name}.ts`, import.meta.url))
      .map((file) => readFileSync(file, 'utf8'))
      .join('')
    const declared = text.match(/export const \w+(Request|Answer|Report|List|Pending)Schema/g) ?? []
    const listed = new Set(WIRE_MESSAGES.map(({ schema }) => schema))
    // Parts of a report, which are in it.
    const parts = declared.filter((line) => /pathReport/.test(line))
    assert.equal(listed.size - 1, declared.length - parts.length, 'the manifest is the one more')
    for (const { name, schema, full } of WIRE_MESSAGES.filter((one) => one.name === 'report')) {
      assert.ok(schema === statusReportSchema)
      assert.deepEqual(
        Object.keys(full).toSorted(),
        Object.keys(statusReportSchema.shape).toSorted(),
        name,
      )
    }
    const fields = new Set(
      WIRE_MESSAGES.filter(({ schema }) => schema === enrolRequestSchema).flatMap(({ full }) =>
        Object.keys(full),
      ),
    )
    assert.deepEqual([...fields].toSorted(), Object.keys(enrolRequestSchema.shape).toSorted())
  })

  for (const { name, schema, full, oldest } of WIRE_MESSAGES) {
    test(`${name}: fields of a newer peer are ignored, at each level`, () => {
      const { lists: _, ...read } = asFields(schema.parse(fromTheFuture(full)))
      const { lists: __, ...want } = asFields(schema.parse(full))
      // The manifest's lists are checked by hand, for speed, and carry along what they do not know.
      assert.deepEqual(read, want)
      assert.notDeepEqual(fromTheFuture(full), full)
    })
    test(`${name}: what an older peer does not say is no fault`, () => {
      assert.equal(schema.safeParse(oldest).success, true)
    })
  }
})

function asFields(value: unknown): Readonly<Record<string, unknown>> {
  return z.record(z.string(), z.unknown()).parse(value)
}

describe('a state of a newer API', () => {
  test('is read as if its new fields were not there: all hosts of the example', () => {
    const { hosts } = compileFleet(threeSites())
    let count = 0
    for (const [key, { state }] of hosts) {
      for (const { body } of shardsOf(state).shards) {
        const now = parseShard(body)
        assert.ok('shard' in now, `${key}: ${JSON.stringify(now)}`)
        const newer = parseShard(JSON.stringify(fromTheFuture(JSON.parse(body))))
        assert.deepEqual(newer, now, key)
        count++
      }
    }
    assert.ok(count > 10, `${count} shards`)
  })

  const state = hostState([
    service('10.1.0.100', [destination('10.1.0.11', { weight: 3 }), destination('10.1.0.12')]),
  ])
  const converged = async () => {
    const host = await createFakeHost()
    await host.start()
    assert.equal(
      (await host.offer(await host.controller.publish(state, { generation: 1 }))).is,
      'applied',
    )
    return host
  }

  test('comes into force, and where nothing else changed no kernel write does it', async () => {
    const host = await converged()
    const { kernel, controller } = host
    const [before, writes] = [kernel.describe(), kernel.writeCount()]
    const offer = await host.offer(
      await controller.publish(fromTheFuture(state), { generation: 2, twist: fromTheFuture }),
    )
    assert.equal(offer.is, 'applied')
    assert.equal(host.agent.snapshot().applied?.generation, 2)
    assert.equal(kernel.describe(), before)
    assert.equal(kernel.writeCount(), writes)
    await host.start()
    assert.equal(kernel.writeCount(), writes, 'and so after a restart, from the disk')
  })

  const unknown: readonly [what: string, change: (text: string) => string, reason: RegExp][] = [
    [
      'kind of virtual service',
      (text) => text.replace('"protocol":"tcp"', '"protocol":"quic"'),
      /services\.0\.protocol/,
    ],
    ['forwarding method', (text) => text.replace('"method":"dr"', '"method":"warp"'), /forwarding/],
    [
      'scheduler',
      (text) => text.replace('"scheduler":"wrr"', '"scheduler":"quantum"'),
      /scheduler/,
    ],
  ]
  for (const [what, change, reason] of unknown) {
    test(`with a ${what} that this version does not know is refused whole, by name; forwarding goes on`, async () => {
      const host = await converged()
      const { kernel } = host
      const [before, writes] = [kernel.describe(), kernel.writeCount()]
      const text = change(JSON.stringify(state))
      assert.notEqual(text, JSON.stringify(state))
      const next = JSON.parse(text) as HostState
      const offer = await host.offer(await host.controller.publish(next, { generation: 2 }))
      assert.equal(offer.is, 'rejected')
      const { rejected } = host.agent.snapshot()
      assert.equal(rejected?.code, 'unreadable')
      assert.match(rejected.detail, reason)
      assert.deepEqual([kernel.describe(), kernel.writeCount()], [before, writes])
      await host.start()
      assert.deepEqual([kernel.describe(), kernel.writeCount()], [before, writes])
    })
  }

  test('in a format that this version does not know is refused, by number; forwarding goes on', async () => {
    const host = await converged()
    const before = host.kernel.describe()
    const twist = (manifest: object) => ({ ...manifest, format: 3 })
    await host.offer(await host.controller.publish(hostState([]), { generation: 2, twist }))
    const { rejected } = host.agent.snapshot()
    assert.equal(rejected?.code, 'unknown-format')
    assert.match(rejected.detail, /format 3; this agent reads 2/)
    assert.equal(host.kernel.describe(), before)
  })
})
