/**
 * Three directors and a real server that the site of two of them cannot reach. Without a rule that is a broken way of
 * that site, and the third director goes on as it was. With a quorum rule it is down for all three; while the control plane
 * is gone each trusts its own eyes again.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { weighedDestinationSchema } from '@lvs-fleet/contract'
import * as z from 'zod'
import { byServer } from '../histogram.ts'
import { twoSites } from '../topology.ts'
import { eventually } from './eventually.ts'
import { FleetLab, REAL_SERVERS, twoSiteIntent } from './fleet-lab.ts'
import {
  addressesOf,
  allBut,
  checksAt,
  DETECTED,
  QUICK_CHECK,
  SETTLED,
  weightsAt,
  type Weights,
} from './health-view.ts'

/** Beside dir-b, in the same network. */
const DIR_C = { name: 'dir-c', segment: 'servers-b', v4: '10.2.0.20', v6: 'fd02::20' } as const
/** By director. */
const VIPS: Readonly<Record<string, readonly [v4: string, v6: string]>> = {
  'dir-a': ['10.1.0.100', 'fd01::100'],
  'dir-b': ['10.2.0.100', 'fd02::100'],
  'dir-c': ['10.2.0.101', 'fd02::101'],
}
const DIRECTORS = Object.keys(VIPS)
const DIR_A_URL = 'http://10.1.0.100/'
const VERDICT = '/v1/overrides/quorum-rs-a1-in-web'
/** Two counts ten seconds apart, of which the first may be ten seconds away, then a poll; or three counts; or the longest wait between two polls that fail. */
const COUNTED = { withinMs: 60_000 }
/** How long a director believes a verdict after the control plane last answered, and how long an idle poll may hang. */
const CONTACT_MS = 120_000
const POLL_MS = 50_000
/** An emulated processor, and asking it for its weights. */
const SLACK_MS = 10_000

const healthSchema = z.object({
  items: z.array(
    z.object({ realServer: z.string(), verdict: z.string(), message: z.string() }).loose(),
  ),
})
const weighedSchema = z.object({
  report: z.object({ weights: z.array(weighedDestinationSchema) }),
})

describe('quorum', () => {
  let fleet: FleetLab

  before(async () => {
    fleet = await FleetLab.start(undefined, { ...twoSites, hosts: [...twoSites.hosts, DIR_C] })
    await fleet.bringUp(undefined, threeDirectors())
    await fleet.startAgent(DIR_C.name)
    await fleet.converged(DIRECTORS)
    for (const director of DIRECTORS) {
      await eventually(async () => {
        const checks = await checksAt(fleet, director)
        assert.equal(checks.length, 2 * REAL_SERVERS.length, director)
        assert.deepEqual(
          checks.filter(({ state }) => state !== 'up'),
          [],
          director,
        )
      }, SETTLED)
      await weigh(director, allBut(), SETTLED)
    }
  })
  after(async () => fleet?.stop())

  it('shows a real server that one site cannot reach as a broken way of that site', async () => {
    await cutWay()
    for (const director of ['dir-b', 'dir-c']) {
      await weigh(director, allBut({ 'rs-a1': 0 }), DETECTED)
    }
    await eventually(async () => {
      const found = await verdictsOf('rs-a1')
      assert.equal(found.length, 2, 'over IPv4 and IPv6')
      for (const { verdict, message } of found) {
        assert.equal(verdict, 'partial')
        assert.match(
          message,
          /^the way from site b is broken \(dir-b.*, dir-c.*\): it answers dir-a/,
        )
      }
    }, SETTLED)
    await weigh('dir-a', allBut(), SETTLED)
    assert.ok(Object.keys(await answers()).includes('rs-a1'))
  })

  it('has it down everywhere, once the pool has a rule', async () => {
    const since = Date.now()
    await fleet.controller.call('PATCH', '/v1/pools/web?force=true', { quorum: {} })
    await weigh('dir-a', allBut({ 'rs-a1': 0 }), COUNTED)
    console.log(`# rule to weight 0 on the director that reaches it: ${Date.now() - since} ms`)
    const said = await fleet.controller.call('GET', VERDICT)
    const { kind, reason } = z.object({ kind: z.string(), reason: z.string() }).parse(said)
    assert.deepEqual([kind, reason], ['quorum', 'down for 2 of 3 directors: dir-b, dir-c'])
    await eventually(async () => {
      const host = await fleet.controller.call('GET', '/v1/hosts/director/dir-a')
      const { weights } = weighedSchema.parse(host).report
      assert.deepEqual(
        weights.map(({ realServer, weight }) => [realServer, weight]),
        [
          ['rs-a1', 0],
          ['rs-a1', 0],
        ],
      )
      for (const { factors } of weights) {
        const why = factors.find(({ name }) => name === 'health')?.why ?? ''
        assert.ok(why.startsWith(`quorum: ${reason}; seen from here: `), why)
      }
    }, SETTLED)
    assert.deepEqual(Object.keys(await answers()).toSorted(), ['rs-a2', 'rs-b1', 'rs-b2'])
  })

  it('is forgotten within two minutes while the control plane is gone: each trusts its own eyes', async () => {
    await fleet.controller.kill()
    const since = Date.now()
    // It was heard of in the last poll, which may have hung for its whole time.
    await sleep(CONTACT_MS - POLL_MS - SLACK_MS)
    assert.deepEqual(await weightsOf('dir-a'), both('dir-a', allBut({ 'rs-a1': 0 })))
    const restMs = CONTACT_MS + SLACK_MS - (Date.now() - since)
    await weigh('dir-a', allBut(), { withinMs: restMs })
    console.log(`# control plane gone to its own eyes: ${Date.now() - since} ms`)
    assert.ok(Object.keys(await answers()).includes('rs-a1'))
    for (const director of ['dir-b', 'dir-c']) {
      assert.deepEqual(await weightsOf(director), both(director, allBut({ 'rs-a1': 0 })))
    }
  })

  it('counts again when the control plane is back, and ends when the way is mended', async () => {
    await fleet.controller.start()
    await weigh('dir-a', allBut({ 'rs-a1': 0 }), COUNTED)
    await mendWay()
    const since = Date.now()
    for (const director of DIRECTORS) await weigh(director, allBut(), COUNTED)
    console.log(`# way mended to weight 100 on all three: ${Date.now() - since} ms`)
    assert.equal((await fleet.controller.request('GET', VERDICT)).status, 404)
    for (const { verdict } of await verdictsOf('rs-a1')) assert.equal(verdict, 'up')
    assert.deepEqual(Object.keys(await answers()).toSorted(), [...REAL_SERVERS])
  })

  /** In the router of site b: what is for rs-a1 goes nowhere, silently. */
  async function cutWay(): Promise<void> {
    const [v4, v6] = addressesOf('rs-a1')
    await fleet.lab.sh('rt-b', `ip route add blackhole ${v4}/32; ip route add blackhole ${v6}/128`)
  }

  async function mendWay(): Promise<void> {
    const [v4, v6] = addressesOf('rs-a1')
    await fleet.lab.sh('rt-b', `ip route del blackhole ${v4}/32; ip route del blackhole ${v6}/128`)
  }

  async function verdictsOf(realServer: string) {
    const answer = await fleet.controller.call('GET', `/v1/health?realServer=${realServer}`)
    return healthSchema.parse(answer).items
  }

  /** Of both VIPs of the director, in its kernel. */
  async function weightsOf(director: string): Promise<Readonly<Record<string, Weights>>> {
    return await weightsAt(fleet, director)
  }

  async function weigh(
    director: string,
    weights: Weights,
    patience: { readonly withinMs: number },
  ): Promise<void> {
    await eventually(async () => {
      assert.deepEqual(await weightsOf(director), both(director, weights), director)
    }, patience)
  }

  async function answers(): Promise<Readonly<Record<string, number>>> {
    return byServer(await fleet.lab.get('cl-a', { url: DIR_A_URL, n: 12 }))
  }
})

function both(director: string, weights: Weights): Record<string, Weights> {
  return Object.fromEntries((VIPS[director] ?? []).map((vip) => [vip, weights]))
}

function threeDirectors(): ReturnType<typeof twoSiteIntent> {
  const intent = twoSiteIntent()
  const { directors, pools, virtualServices } = intent
  const { v4, v6 } = DIR_C
  return {
    ...intent,
    directors: { ...directors, 'dir-c': { site: 'b', addresses: [v4, v6] } },
    pools: { web: { ...pools?.['web'], check: QUICK_CHECK } },
    virtualServices: {
      ...virtualServices,
      'web-b': { ...virtualServices?.['web-b'], carriedBy: { directors: ['dir-b'] } },
      'web-c': {
        ...virtualServices?.['web-b'],
        vips: VIPS['dir-c'],
        carriedBy: { directors: ['dir-c'] },
      },
    },
  }
}
