/**
 * What can be edited is edited: for every property of a virtual service and of a destination the agent sends one
 * change, the kernel's counters go on and its connections stand. What names an object cannot be edited: it is
 * replaced, and a client that asks all the time never meets a moment without an answer.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import { serviceKey, type AddressPlace, type HostState } from '@lvs-fleet/contract'
import { buildAgent } from '../../../scripts/build.ts'
import { startLab, type Lab } from '../lab.ts'
import type { Hold } from '../host/traffic.ts'
import {
  DIRECTOR,
  EDIT_ROWS,
  GRE_DEVICE,
  GUE_PORTS,
  OTHER_SERVER,
  REPLACE_ROWS,
  REPLACED_PORTS,
  replacedState,
  SERVER,
  stateOf,
  VIPS,
  type EditRow,
} from './edit-rows.ts'
import { eventually } from './eventually.ts'
import { writesDuring } from './netlink-witness.ts'

const CLIENT = 'cl-a'
const PATIENT = { withinMs: 30_000, everyMs: 500 }
/** Longer than a server goes on sending into a connection that nobody acknowledges. */
const CARRY_MS = 4_000

/** How long a VIP that left the state stays on its interface. */
const LINGER_SECONDS = 1

/** Of one destination by the other and back, while clients ask. */
const REPLACEMENTS = 10

/** The persistence engine sip drops whatever has no Call-ID (ip_vs_sip_fill_param). */
const SIP_REQUEST = 'OPTIONS sip:lab SIP/2.0\r\nCall-ID: 1@lab\r\n\r\n'

/** Before and after the change; what the dry run said, and what the kernel was asked for. */
type Seen = {
  readonly plan: ReadonlyMap<string, readonly string[]>
  readonly writes: readonly string[]
  readonly before: Witness
  readonly after: Witness
}
type Witness = {
  /** By `TCP 10.1.0.150:8001`, its destination with ` > ` behind it. */
  readonly counters: ReadonlyMap<string, { readonly connections: number; readonly packets: number }>
  readonly connections: readonly string[]
}

describe('edits of what stands', { timeout: 600_000 }, () => {
  let lab: Lab
  let bundle: string
  let seen: Seen
  const holds = new Map<EditRow, Hold>()

  before(async () => {
    bundle = await buildAgent()
    lab = await startLab()
    await prepareHosts(lab)
    await apply('edits-from', stateOf(EDIT_ROWS, 'from'))
    await connectAll()
    const earlier = await witnessOf(lab)
    const to = stateFile('edits-to', stateOf(EDIT_ROWS, 'to'))
    const plan = byService(await agent('apply', '--dry-run', to))
    const writes = await writesDuring(lab, DIRECTOR.name, async () => {
      await agent('apply', to)
      await lab.sh(SERVER.name, `ip tunnel change ${GRE_DEVICE} icsum`)
    })
    await sleep(CARRY_MS)
    const later = await witnessOf(lab)
    seen = { plan, writes, before: earlier, after: later }
  })
  after(async () => lab.stop())

  for (const row of EDIT_ROWS) {
    it(`${row.name}: one edit, counters and connections live on`, async () => {
      const key = serviceKey({ protocol: row.protocol, address: VIPS[row.family], port: row.port })
      const ops = seen.plan.get(key) ?? []
      assert.deepEqual(
        ops.map((op) => op.split(' ').slice(0, 2).join(' ')),
        [`~ ${row.object}`],
        ops.join('\n'),
      )
      for (const name of witnessNames(row)) {
        const earlier = seen.before.counters.get(name)
        const later = seen.after.counters.get(name)
        assert.ok(earlier !== undefined && earlier.connections >= 1, `${name} counted nothing`)
        assert.ok(later !== undefined, `${name} is gone`)
        assert.ok(later.connections >= earlier.connections, `${name} was made anew`)
        assert.ok(later.packets >= earlier.packets, `${name} was made anew`)
      }
      const hold = holds.get(row)
      if (hold === undefined) return
      const status = await hold.status()
      assert.ok(status.alive, `its connection carries nothing: ${JSON.stringify(status)}`)
      assert.ok(status.bytes > hold.first.bytes)
    })
  }

  it('the kernel was asked to set, never to make or remove', () => {
    const count = (object: EditRow['object']) =>
      EDIT_ROWS.filter((row) => row.object === object).length
    assert.deepEqual(
      Object.entries(Object.groupBy(seen.writes, (write) => write)).map(
        ([write, list]) => `${list?.length} ${write}`,
      ),
      [`${count('service')} set service`, `${count('destination')} set destination`],
    )
  })

  it('the connection table holds what it held', () => {
    assert.ok(seen.before.connections.length >= holds.size)
    assert.deepEqual(seen.after.connections, seen.before.connections)
  })

  for (const { name, port, from, to } of REPLACE_ROWS) {
    it(`${name}: cannot be edited, and is replaced without a moment with no answer`, async (t) => {
      await apply('replaced', replacedState(port, from))
      for (const host of [SERVER.name, OTHER_SERVER.name]) {
        await lab.serve(host, { ports: REPLACED_PORTS })
      }
      const url = `http://${VIPS.ipv4}:${port}/`
      const load = await lab.load(CLIENT, { url, ratePerSecond: 20, timeoutMs: 5_000 })
      const next = stateFile('replaced', replacedState(port, to))
      const plan = byService(await agent('apply', '--dry-run', '--allow-shrink', next))
      const key = serviceKey({ protocol: 'tcp', address: VIPS.ipv4, port })
      const ops = plan.get(key) ?? []
      assert.deepEqual(
        ops.map((op) => op.split(' ').slice(0, 2).join(' ')),
        ['+ destination', '~ destination'],
        ops.join('\n'),
      )
      // There and back: who drains is taken up again, at once.
      for (let n = 0; n < REPLACEMENTS; n++) {
        await apply('replaced', replacedState(port, n % 2 === 0 ? to : from))
      }
      await sleep(CARRY_MS)
      const { answers, errors } = await load.stop()
      const count = Object.values(answers).reduce((sum, one) => sum + one, 0)
      t.diagnostic(`${REPLACEMENTS} replacements, ${count} answers, ${JSON.stringify(errors)} lost`)
      assert.deepEqual(errors, {})
      assert.deepEqual(
        Object.keys(answers).map((answer) => answer.split(' ')[0]),
        [from, to].map((end) => `${end.realServer}:${end.port}`),
      )
      await lab.unserve(SERVER.name)
      await lab.unserve(OTHER_SERVER.name)
    })
  }

  it('place of a VIP: the same interface by another name is no change, and takes nothing away later', async () => {
    const [row] = REPLACE_ROWS
    assert.ok(row !== undefined)
    const { port, from } = row
    const placed = (place: AddressPlace): HostState => ({
      ...replacedState(port, from),
      addresses: [{ address: VIPS.ipv4, place }],
      lingerSeconds: LINGER_SECONDS,
    })
    await apply('placed', placed({ holding: DIRECTOR.ipv4 }))
    await lab.serve(SERVER.name, { ports: [port] })
    const url = `http://${VIPS.ipv4}:${port}/`
    const load = await lab.load(CLIENT, { url, ratePerSecond: 20, timeoutMs: 5_000 })
    const writes = await writesDuring(lab, DIRECTOR.name, async () => {
      for (let n = 0; n < 3; n++) {
        await apply('placed', placed({ device: 'eth0' }))
        await sleep(LINGER_SECONDS * 1_000)
      }
    })
    const { errors } = await load.stop()
    // What drains of the rows before may leave meanwhile, which is IPVS' affair.
    const onInterfaces = writes.filter((write) => write.startsWith('rtnetlink'))
    assert.deepEqual([onInterfaces, errors], [[], {}])
    assert.match(await lab.sh(DIRECTOR.name, 'ip addr show dev eth0'), /inet 10\.1\.0\.150\/32/)
    await lab.unserve(SERVER.name)
  })

  async function connectAll(): Promise<void> {
    const ports = EDIT_ROWS.filter(({ protocol }) => protocol === 'tcp').map(({ port }) => port)
    await lab.serve(SERVER.name, { ports })
    for (const row of EDIT_ROWS) {
      const address = VIPS[row.family]
      if (row.protocol === 'udp') {
        await lab.serveUdp(SERVER.name, { port: row.port, bind: address })
        const answers = await lab.udp(CLIENT, { address, port: row.port, message: SIP_REQUEST })
        assert.match(Object.keys(answers).join(), /^rs-a1:/, row.name)
      } else {
        const host = row.family === 'ipv6' ? `[${address}]` : address
        const hold = await lab.hold(CLIENT, { url: `http://${host}:${row.port}/` })
        assert.match(hold.first.answerer, /^rs-a1:/, `${row.name}: ${JSON.stringify(hold.first)}`)
        holds.set(row, hold)
      }
    }
    // The kernel's estimator adds up every two seconds.
    await eventually(async () => {
      const { counters } = await witnessOf(lab)
      for (const name of EDIT_ROWS.flatMap(witnessNames)) {
        assert.ok((counters.get(name)?.connections ?? 0) >= 1, name)
      }
    }, PATIENT)
  }

  async function apply(name: string, state: HostState): Promise<void> {
    await agent('apply', stateFile(name, state), '--allow-shrink')
  }

  function agent(...words: readonly string[]): Promise<string> {
    const command = [process.execPath, bundle, ...words, '--state-dir', `${lab.guestDir}/edits`]
    return lab.sh(DIRECTOR.name, command, { timeoutMs: 120_000 })
  }

  function stateFile(name: string, state: HostState): string {
    writeFileSync(join(lab.dir, `${name}.json`), JSON.stringify(state))
    return `${lab.guestDir}/${name}.json`
  }
})

/** The director forwards and keeps the way of NAT to itself; one real server takes every method at once, the other DR. */
async function prepareHosts(lab: Lab): Promise<void> {
  // A module that the kernel loads within a request costs seconds on a busy emulated processor: a time limit of the agent.
  const modules = EDIT_ROWS.map(({ to }) => `ip_vs_${to.scheduler ?? 'wrr'}`)
  await lab.sh('root', ['modprobe', '-a', ...new Set(modules)])
  const ends = `local ${SERVER.ipv4} remote ${DIRECTOR.ipv4}`
  await lab.sh(
    DIRECTOR.name,
    'sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0',
  )
  const quiet = 'sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2'
  await lab.sh(OTHER_SERVER.name, `${quiet}; ip addr add ${VIPS.ipv4}/32 dev lo`)
  await lab.sh(
    SERVER.name,
    [
      'set -e',
      quiet,
      'sysctl -qw net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0',
      `ip addr add ${VIPS.ipv4}/32 dev lo`,
      `ip addr add ${VIPS.ipv6}/128 dev lo`,
      `ip tunnel add edit-ipip mode ipip ${ends}`,
      `ip tunnel add ${GRE_DEVICE}`,
      'ip link set edit-ipip up',
      'ip link set edit-gre up',
      ...GUE_PORTS.map((port) => `ip fou add port ${port} gue`),
      // Replies of NAT have the real server's own address, those of DR and TUN the VIP.
      `ip rule add from ${SERVER.ipv4} lookup 100`,
      `ip route add default via ${DIRECTOR.ipv4} table 100`,
    ].join('\n'),
  )
}

async function witnessOf(lab: Lab): Promise<Witness> {
  const stats = await lab.sh(DIRECTOR.name, 'ipvsadm -Ln --stats --exact')
  const table = await lab.sh(DIRECTOR.name, 'cat /proc/net/ip_vs_conn')
  return { counters: parseStats(stats), connections: parseConnections(table) }
}

function witnessNames({ protocol, family, port }: EditRow): string[] {
  const end = (address: string) => `${address.includes(':') ? `[${address}]` : address}:${port}`
  const service = `${protocol.toUpperCase()} ${end(VIPS[family])}`
  return [service, `${service} > ${end(SERVER[family])}`]
}

function parseStats(text: string): Witness['counters'] {
  const counters = new Map<string, { connections: number; packets: number }>()
  let service = ''
  for (const line of text.split('\n')) {
    const match = /^(TCP|UDP| {2}->) +(\S+) +(\d+) +(\d+)/.exec(line)
    const [, kind, end, connections, packets] = match ?? []
    if (kind === undefined) continue
    if (kind !== '  ->') service = `${kind} ${end}`
    const name = kind === '  ->' ? `${service} > ${end}` : service
    counters.set(name, { connections: Number(connections), packets: Number(packets) })
  }
  return counters
}

/** Protocol and the three ends of each entry; what changes all the time (state, expiry) is left out. */
function parseConnections(table: string): string[] {
  const lines = table.split('\n').slice(1).filter(Boolean)
  return lines.map((line) => line.trim().split(/\s+/).slice(0, 7).join(' ')).toSorted()
}

function byService(plan: string): Map<string, string[]> {
  const lines = new Map<string, string[]>()
  for (const line of plan.split('\n').filter(Boolean)) {
    const key = line.split(' ')[2] ?? ''
    lines.set(key, [...(lines.get(key) ?? []), line])
  }
  return lines
}
