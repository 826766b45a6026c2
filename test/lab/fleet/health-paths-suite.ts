/**
 * Each way to a real server broken in each of its ways: NAT, DR, IPIP, GRE and GUE, with IPv4 and IPv6 clients, over IPv4
 * and over IPv6. The director finds out within fall x interval + timeout, says what is broken, only connections of that
 * window fail, and what is mended gets connections again. Ends with the table that docs/health-checks.md has.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { byServer } from '../histogram.ts'
import type { Load } from '../host/traffic.ts'
import { eventually } from './eventually.ts'
import { FleetLab, REAL_SERVERS, twoSiteIntent } from './fleet-lab.ts'
import {
  addressesOf,
  allBut,
  checksAt,
  DETECTED,
  PROMISED_MS,
  QUICK_CHECK,
  SETTLED,
  weightsAt,
  type RealServer as Name,
  type Weights,
} from './health-view.ts'

/** Of clients. An emulated processor may stand still for a second, which is no fault. */
const PATIENCE_MS = 3_000
/** A processor that is emulated, and shared. */
const LATE_MS = 2_500
/** Two requests to each real server. */
const QUIET_MS = 2_000
/** Of it a fourth goes to each real server, in turn: one a second. */
const RATE_PER_SECOND = 4
/** Connections under way when the fault comes, and when the weight becomes 0. */
const FAILED_BESIDES = 4
const VIPS = [
  { vip: '10.1.0.100', url: 'http://10.1.0.100/', tables: 'iptables' },
  { vip: 'fd01::100', url: 'http://[fd01::100]/', tables: 'ip6tables' },
] as const

type Form = 'nat' | 'dr' | 'ipip' | 'gre' | 'gue'
type Round = {
  /** Of tunnels: what their packets travel in. */
  readonly outer: 'IPv4' | 'IPv6'
  readonly forms: Readonly<Record<Name, Form>>
}
type Measured = {
  readonly way: string
  readonly what: string
  readonly said: string
  /** From when the fault was complete, by the director's clock. */
  readonly verdictMs: number
  /** As seen from outside, with what making the fault and asking takes. */
  readonly detectedMs: number
  readonly failed: number
  readonly backMs: number
}

type Fault = {
  readonly what: string
  /** What the director is to say; undefined where the way has no such part. */
  readonly says: (form: Form) => 'path-down' | 'server-down' | undefined
  readonly make: (fleet: FleetLab, name: Name) => Promise<unknown>
  readonly mend: (fleet: FleetLab, name: Name) => Promise<unknown>
}
const isTunnel = (form: Form): boolean => form !== 'nat' && form !== 'dr'
const eachVip = (command: (vip: string, tables: string) => string): string =>
  VIPS.map(({ vip, tables }) => command(vip, tables)).join('; ')

const FAULTS: readonly Fault[] = [
  {
    what: 'its server is killed',
    says: () => 'server-down',
    make: ({ lab }, name) => lab.unserve(name),
    mend: ({ lab }, name) => lab.serve(name, { ports: [80] }),
  },
  {
    what: 'its VIPs are gone',
    says: (form) => (form === 'nat' ? undefined : 'path-down'),
    // An IPv4 VIP is on the tunnel's device as well, where that carries IPv4 in IPv6.
    make: ({ lab }, name) =>
      lab.sh(
        name,
        eachVip(
          (vip) =>
            `ip -o addr show to ${vip} | awk '{print $2, $4}' > /run/${vip}; while read dev at; do ip addr del $at dev $dev; done < /run/${vip}`,
        ),
      ),
    mend: ({ lab }, name) =>
      lab.sh(
        name,
        eachVip((vip) => {
          const lasting = vip.includes(':') ? ' nodad preferred_lft 0' : ''
          return `while read dev at; do ip addr add $at dev $dev${lasting}; done < /run/${vip}`
        }),
      ),
  },
  {
    what: 'nobody takes off its tunnel',
    says: (form) => (isTunnel(form) ? 'path-down' : undefined),
    make: ({ lab }, name) => lab.sh(name, `for d in ${TUNNELS}; do ip link set $d down; done`),
    mend: ({ lab }, name) => lab.sh(name, `for d in ${TUNNELS}; do ip link set $d up; done`),
  },
  {
    what: 'its cable is pulled',
    says: () => 'server-down',
    make: ({ lab }, name) => lab.cutLink(name),
    mend: ({ lab }, name) => lab.restoreLink(name),
  },
  {
    what: 'what it sends from its VIPs is swallowed',
    says: (form) => (form === 'nat' ? undefined : 'path-down'),
    make: ({ lab }, name) =>
      lab.sh(
        name,
        eachVip((vip, tables) => `${tables} -I OUTPUT -s ${vip} -j DROP`),
      ),
    mend: ({ lab }, name) =>
      lab.sh(
        name,
        eachVip((vip, tables) => `${tables} -D OUTPUT -s ${vip} -j DROP`),
      ),
  },
  {
    what: 'what it sends from its own port is swallowed',
    says: (form) => (form === 'nat' ? 'server-down' : undefined),
    make: ({ lab }, name) =>
      lab.sh(
        name,
        eachVip((_, tables) => `${tables} -I OUTPUT -p tcp --sport 80 -j DROP`),
      ),
    mend: ({ lab }, name) =>
      lab.sh(
        name,
        eachVip((_, tables) => `${tables} -D OUTPUT -p tcp --sport 80 -j DROP`),
      ),
  },
]
/** Devices that the agent made for decapsulation. */
const TUNNELS = `$(ip -o link show | grep -o ' lvsf-[0-9a-f]*')`

export function healthPathsSuite(round: Round): void {
  describe(`health by each way, over ${round.outer}`, () => {
    const rows: Measured[] = []
    let fleet: FleetLab

    before(async () => {
      fleet = await FleetLab.start()
      await fleet.bringUp(undefined, intentOf(round))
      await eventually(async () => {
        const checks = await checksAt(fleet, 'dir-a')
        assert.equal(checks.length, 2 * REAL_SERVERS.length)
        assert.deepEqual(
          checks.filter(({ state }) => state !== 'up'),
          [],
        )
      }, SETTLED)
      // From here on nobody mends what is broken.
      for (const name of REAL_SERVERS) await fleet.stopAgent(name, 'SIGKILL')
    })
    after(async () => {
      await fleet?.stop()
      console.log(tableOf(rows))
    })

    for (const name of REAL_SERVERS) {
      const form = round.forms[name]
      for (const fault of FAULTS) {
        const said = fault.says(form)
        if (said === undefined) continue
        it(`${form} to ${name}, ${fault.what}: ${said}`, async () => {
          const way = isTunnel(form) ? `${form} over ${round.outer}` : form
          const broken = await breakAndMend(fleet, name, fault, said)
          rows.push({ way, what: fault.what, said, ...broken })
        })
      }
    }
  })
}

async function breakAndMend(
  fleet: FleetLab,
  name: Name,
  { make, mend }: Fault,
  said: string,
): Promise<Pick<Measured, 'verdictMs' | 'detectedMs' | 'failed' | 'backMs'>> {
  // Also where the fault before ended badly.
  await weigh(fleet, allBut(), SETTLED)
  const others = REAL_SERVERS.filter((one) => one !== name)
  const url = VIPS[0].url
  const load = await fleet.lab.load('cl-a', {
    url,
    ratePerSecond: RATE_PER_SECOND,
    timeoutMs: PATIENCE_MS,
  })
  let verdictMs = 0
  let detectedMs: number
  let failed: number
  try {
    const since = Date.now()
    await make(fleet, name)
    const directorSince = Number(await fleet.lab.sh('dir-a', 'date +%s%3N'))
    await weigh(fleet, allBut({ [name]: 0 }), DETECTED)
    detectedMs = Date.now() - since
    await eventually(async () => {
      const found = (await checksAt(fleet, 'dir-a')).filter((one) => one.realServer === name)
      assert.deepEqual(
        found.map(({ class: broken }) => broken),
        [said, said],
      )
      verdictMs = Math.max(...found.map((one) => Date.parse(one.since))) - directorSince
    }, SETTLED)
    assert.ok(verdictMs <= PROMISED_MS + LATE_MS, `down ${verdictMs} ms after the fault`)
    failed = await failedIn(load, name)
    assert.ok(failed <= detectedMs / 1_000 + FAILED_BESIDES, `${failed} in ${detectedMs} ms`)
    await answeredBy(fleet, others)
  } finally {
    await load.stop()
    await mend(fleet, name)
  }
  const since = Date.now()
  await weigh(fleet, allBut(), SETTLED)
  const backMs = Date.now() - since
  await answeredBy(fleet, REAL_SERVERS)
  return { verdictMs, detectedMs, failed, backMs }
}

/** Connections of the window end by the client's own patience; those that come after it see nothing. How many failed. */
async function failedIn(load: Load, name: Name): Promise<number> {
  await sleep(PATIENCE_MS)
  const { errors: failed } = await load.snapshot()
  await sleep(QUIET_MS)
  const { errors, answers } = await load.snapshot()
  assert.deepEqual(errors, {})
  assert.ok(Object.keys(answers).length > 0)
  assert.ok(!Object.keys(byServer(answers)).includes(name))
  return Object.values(failed).reduce((sum, count) => sum + count, 0)
}

/** On both VIPs. Who answers counts, and not how often: the load and what is left of it take turns of their own. */
async function answeredBy(fleet: FleetLab, names: readonly Name[]): Promise<void> {
  for (const { url } of VIPS) {
    const answers = byServer(await fleet.lab.get('cl-a', { url, n: 12, timeoutMs: PATIENCE_MS }))
    assert.deepEqual(Object.keys(answers).toSorted(), names, `${url}: ${JSON.stringify(answers)}`)
  }
}

async function weigh(
  fleet: FleetLab,
  weights: Weights,
  patience: { readonly withinMs: number },
): Promise<void> {
  await eventually(async () => {
    const found = await weightsAt(fleet, 'dir-a')
    for (const { vip } of VIPS) assert.deepEqual(found[vip], weights, vip)
  }, patience)
}

function tableOf(rows: readonly Measured[]): string {
  const lines = rows.map(({ way, what, said, verdictMs, detectedMs, failed, backMs }) => {
    const [verdict, detected, back] = [verdictMs, detectedMs, backMs].map((ms) =>
      (ms / 1_000).toFixed(1),
    )
    return `| ${way} | ${what} | ${said} | ${verdict} s | ${detected} s | ${failed} | ${back} s |`
  })
  const promised = (PROMISED_MS / 1_000).toFixed(1)
  return [
    `promised: ${promised} s from fault to verdict`,
    '| way | broken | said | verdict after | weight 0 seen after | connections failed | weight back after |',
    '|---|---|---|---|---|---|---|',
    ...lines,
  ].join('\n')
}

function siteOf(name: Name): 'a' | 'b' {
  return name.startsWith('rs-a') ? 'a' : 'b'
}

function intentOf({ outer, forms }: Round): ReturnType<typeof twoSiteIntent> {
  const document = twoSiteIntent()
  const { virtualServices = {} } = document
  const realServers: Record<string, Record<string, unknown>> = {}
  for (const name of REAL_SERVERS) {
    const form = forms[name]
    const [v4, v6] = addressesOf(name)
    const outside = [outer === 'IPv4' ? v4 : v6]
    realServers[name] = {
      site: siteOf(name),
      addresses: isTunnel(form) ? outside : [v4, v6],
      ...(isTunnel(form) ? { decapsulates: [form] } : {}),
      ...(form === 'nat' ? { natReturn: 'snat' } : {}),
    }
  }
  const members = REAL_SERVERS.map((realServer) => {
    const form = forms[realServer]
    return isTunnel(form)
      ? { realServer, forwarding: 'tun', tunnel: form }
      : { realServer, forwarding: form }
  })
  return {
    ...document,
    realServers,
    pools: { web: { members, check: QUICK_CHECK } },
    virtualServices: { 'web-a': { ...virtualServices['web-a'], scheduler: 'rr', drainSeconds: 0 } },
  }
}
