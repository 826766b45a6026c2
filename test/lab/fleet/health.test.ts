/**
 * Health in real kernels: directors find out what is down by the way that clients' packets take, tell a dead server from
 * a broken path, take new connections away from it by themselves, and never empty a service.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { CheckHealth } from '@lvs-fleet/contract'
import { byServer } from '../histogram.ts'
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
  type RealServer,
  type Weights,
} from './health-view.ts'

const DIRECTORS = ['dir-a', 'dir-b'] as const
type Director = (typeof DIRECTORS)[number]
const VIPS: Readonly<Record<Director, string>> = { 'dir-a': '10.1.0.100', 'dir-b': '10.2.0.100' }
type Fault = {
  readonly what: string
  readonly on: RealServer
  readonly command: string
  readonly undo: string
  /** What each director says of the path over IPv4; up where it says nothing else. */
  readonly seen: Readonly<Partial<Record<Director, string>>>
}

const TUNNEL_OF_DIR_A = `$(ip -o link show type ipip | grep 'peer 10.1.0.10' | sed 's/^[0-9]*: \\([^@:]*\\).*/\\1/')`
const FAULTS: readonly Fault[] = [
  {
    what: 'a VIP that is missing behind a tunnel',
    on: 'rs-b1',
    command: removeAddress('10.1.0.100'),
    undo: restoreAddress('10.1.0.100'),
    seen: { 'dir-a': 'path-down' },
  },
  {
    what: 'a VIP that is missing behind DR',
    on: 'rs-b1',
    command: removeAddress('10.2.0.100'),
    undo: restoreAddress('10.2.0.100'),
    seen: { 'dir-b': 'path-down' },
  },
  {
    what: 'a tunnel device that is down: only the site behind the tunnel sees it',
    on: 'rs-b1',
    command: `ip link set ${TUNNEL_OF_DIR_A} down`,
    undo: `ip link set ${TUNNEL_OF_DIR_A} up`,
    seen: { 'dir-a': 'path-down' },
  },
]

function removeAddress(address: string): string {
  return `ip -o addr show to ${address} | awk '{print $2}' > /run/vip-device; ip addr del ${address}/32 dev $(cat /run/vip-device)`
}

function restoreAddress(address: string): string {
  return `ip addr add ${address}/32 dev $(cat /run/vip-device)`
}

/** Rows of the table in docs/spill-over.md, as dir-a sees them: percent of its connections. */
const SPILLS: readonly {
  readonly down: readonly string[]
  readonly shares: Readonly<Record<string, number>>
}[] = [
  { down: [], shares: { 'rs-a1': 50, 'rs-a2': 50 } },
  { down: ['rs-a1'], shares: { 'rs-a2': 70, 'rs-b1': 15, 'rs-b2': 15 } },
  { down: ['rs-a1', 'rs-a2'], shares: { 'rs-b1': 50, 'rs-b2': 50 } },
  { down: ['rs-a1'], shares: { 'rs-a2': 70, 'rs-b1': 15, 'rs-b2': 15 } },
  { down: [], shares: { 'rs-a1': 50, 'rs-a2': 50 } },
]

describe('health by the path of clients', () => {
  let fleet: FleetLab

  before(async () => {
    fleet = await FleetLab.start()
    await fleet.bringUp(undefined, checkedIntent())
  })
  after(async () => fleet?.stop())

  it('asks each real server once by each path, and finds all of them up', async () => {
    for (const director of DIRECTORS) {
      await eventually(async () => {
        assert.equal((await checksAt(fleet, director)).length, 8)
        assert.deepEqual(await notAt(fleet, director, 'up'), [])
      }, SETTLED)
    }
    // A real server that set itself up after its directors was down at first.
    await weigh(fleet, {}, SETTLED)
  })

  it('takes connections away from a server that died, and gives them back', async () => {
    await fleet.lab.unserve('rs-b1')
    const since = Date.now()
    await weigh(fleet, { 'rs-b1': 0 }, DETECTED)
    console.log(`# weight 0 in both kernels after ${Date.now() - since} ms`)
    for (const director of DIRECTORS) {
      const { state, class: broken } = await healthOf(fleet, director, 'rs-b1')
      assert.deepEqual([state, broken], ['down', 'server-down'])
    }
    const answers = byServer(await fleet.lab.get('cl-a', { url: 'http://10.1.0.100/', n: 30 }))
    assert.deepEqual(answers, { 'rs-a1': 10, 'rs-a2': 10, 'rs-b2': 10 })
    await fleet.lab.serve('rs-b1', { ports: [80] })
    await weigh(fleet, {}, SETTLED)
  })

  describe('tells a broken path from a dead server, per director', () => {
    before(async () => fleet.stopAgent('rs-b1', 'SIGKILL'))
    after(async () => {
      await fleet.startAgent('rs-b1', { enrol: false })
    })

    for (const { what, on, command, undo, seen } of FAULTS) {
      it(what, async () => {
        await fleet.lab.sh(on, command)
        try {
          await eventually(async () => {
            for (const director of DIRECTORS) {
              const { state, class: broken } = await healthOf(fleet, director, on)
              assert.equal(broken ?? state, seen[director] ?? 'up', director)
              const weights = await siteWeights(fleet, director)
              assert.equal(weights[on], seen[director] === undefined ? 100 : 0, director)
            }
          }, SETTLED)
        } finally {
          await fleet.lab.sh(on, undo)
        }
        await weigh(fleet, {}, SETTLED)
      })
    }
  })

  it('does not empty a service when a director itself is cut off', async () => {
    const seen: Weights[] = []
    await fleet.lab.cutLink('dir-a')
    try {
      await eventually(async () => {
        seen.push(await siteWeights(fleet, 'dir-a'))
        assert.deepEqual(await notAt(fleet, 'dir-a', 'down'), [])
        // The report may be there before the last weight is in the kernel.
        assert.deepEqual(await siteWeights(fleet, 'dir-a'), allBut())
      }, SETTLED)
    } finally {
      await fleet.lab.restoreLink('dir-a')
    }
    await eventually(async () => {
      seen.push(await siteWeights(fleet, 'dir-a'))
      assert.deepEqual(await notAt(fleet, 'dir-a', 'up'), [])
      assert.deepEqual(await siteWeights(fleet, 'dir-a'), allBut())
    }, SETTLED)
    for (const weights of seen) {
      assert.ok(
        Object.values(weights).some((weight) => weight > 0),
        JSON.stringify(weights),
      )
    }
  })

  it('does all of that without the controller', async () => {
    await fleet.controller.kill()
    await fleet.lab.unserve('rs-a1')
    await weigh(fleet, { 'rs-a1': 0 }, DETECTED)
    await fleet.lab.serve('rs-a1', { ports: [80] })
    await weigh(fleet, {}, SETTLED)
    await fleet.controller.start()
  })

  it('spills to the other site in proportion, and comes back, while the controller is dead', async () => {
    const intent = checkedIntent()
    const { web } = intent['pools'] ?? {}
    const policy = { maxChangePercent: 50, changeIntervalSeconds: 1 }
    intent['pools'] = { web: { ...web, policy } }
    await fleet.applyIntent(intent)
    await fleet.converged([...DIRECTORS])
    await fleet.controller.kill()
    let before: readonly string[] = []
    for (const { down, shares } of SPILLS) {
      for (const name of before.filter((one) => !down.includes(one))) {
        await fleet.lab.serve(name, { ports: [80] })
      }
      for (const name of down.filter((one) => !before.includes(one))) await fleet.lab.unserve(name)
      before = down
      await eventually(async () => {
        assert.deepEqual(sharesOf(await siteWeights(fleet, 'dir-a')), shares, 'in the kernel')
      }, SETTLED)
      const answers = await fleet.lab.get('cl-a', { url: 'http://10.1.0.100/', n: 100 })
      const measured = sharesOf(byServer(answers))
      for (const name of REAL_SERVERS) {
        const difference = Math.abs((measured[name] ?? 0) - (shares[name] ?? 0))
        assert.ok(difference <= 3, `${name} answered ${measured[name] ?? 0} of 100`)
      }
    }
    await fleet.controller.start()
  })

  it('leaves nothing behind when nobody wants checks any more', async () => {
    const intent = twoSiteIntent()
    await fleet.applyIntent(intent)
    await fleet.converged(['dir-a', 'dir-b'])
    await eventually(async () => assert.deepEqual(await checksAt(fleet, 'dir-a'), []), SETTLED)
    assert.deepEqual(await siteWeights(fleet, 'dir-a'), allBut())
  })
})

/** Checks in any other state than this. */
async function notAt(fleet: FleetLab, director: Director, wanted: CheckHealth['state']) {
  return (await checksAt(fleet, director)).filter(({ state }) => state !== wanted)
}

/** Over IPv4. */
async function healthOf(
  fleet: FleetLab,
  director: Director,
  realServer: RealServer,
): Promise<CheckHealth> {
  const [address] = addressesOf(realServer)
  const check = (await checksAt(fleet, director)).find((one) => one.address === address)
  assert.ok(check !== undefined, `${director} does not check ${realServer}`)
  return check
}

/** In the kernel, of the IPv4 VIP of the director's site. */
async function siteWeights(fleet: FleetLab, director: Director): Promise<Weights> {
  return (await weightsAt(fleet, director))[VIPS[director]] ?? {}
}

/** Waits until the kernels of both directors have weight 100, but for `others`. */
async function weigh(
  fleet: FleetLab,
  others: Readonly<Record<string, number>>,
  patience: { readonly withinMs: number },
): Promise<void> {
  await eventually(async () => {
    for (const director of DIRECTORS) {
      assert.deepEqual(await siteWeights(fleet, director), allBut(others), director)
    }
  }, patience)
}

/** Whole percent of those that have any. */
function sharesOf(parts: Readonly<Record<string, number>>): Record<string, number> {
  const sum = Object.values(parts).reduce((total, part) => total + part, 0)
  const some = Object.entries(parts).filter(([, part]) => part > 0)
  return Object.fromEntries(some.map(([name, part]) => [name, Math.round((part * 100) / sum)]))
}

function checkedIntent(): ReturnType<typeof twoSiteIntent> {
  const intent = twoSiteIntent()
  intent['pools'] = { web: { ...intent['pools']?.['web'], check: QUICK_CHECK } }
  return intent
}
