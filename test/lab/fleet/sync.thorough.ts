/**
 * Connection sync with packets: of a connection through the master the backup hears, and when the backup takes
 * over the VIP the connection goes on; without sync it breaks. Intent compiled by the API, programmed by agents.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { compileFleet } from '../../../services/api/src/compile/compile.ts'
import { fleetFromDocument, fleetSchema } from '../../../services/api/src/intent/fleet.ts'
import { validateFleet } from '../../../services/api/src/intent/validate.ts'
import { startLab, type Lab } from '../lab.ts'
import { program } from '../matrix/program.ts'
import { type Topology, twoSites } from '../topology.ts'
import { eventually } from './eventually.ts'

const CLIENT = 'cl-a'
const MASTER = 'dir-a'
const BACKUP = 'dir-c'
const VIP = '10.1.0.100'
const URL = `http://${VIP}/`
const SYNC_ID = 7
/** Longer than a server goes on sending into a connection that nobody acknowledges. */
const CARRY_MS = 4_000
const PATIENT = { withinMs: 30_000, everyMs: 500 }

/** Two directors in one site, a real server, a client. */
const pairTopology: Topology = {
  ...twoSites,
  name: 'pair',
  hosts: [
    ...twoSites.hosts.filter(({ name }) => [CLIENT, MASTER, 'rs-a1'].includes(name)),
    { name: BACKUP, segment: 'servers-a', v4: '10.1.0.20', v6: 'fd01::20' },
  ],
}

describe('connection sync', { timeout: 300_000 }, () => {
  let lab: Lab

  before(async () => {
    lab = await startLab({ topology: pairTopology })
    await program(lab, compilePair())
    for (const host of [MASTER, BACKUP]) await lab.sh(host, `ip addr add ${VIP}/32 dev eth0`)
    await lab.serve('rs-a1', { ports: [80] })
  })
  after(async () => lab.stop())

  it('both daemons run with the parameters of the pair', async () => {
    const said = new Map<string, string>()
    for (const host of [MASTER, BACKUP]) said.set(host, await lab.sh(host, 'ipvsadm -L --daemon'))
    const wanted = (role: string) =>
      new RegExp(
        `^${role} sync daemon \\(mcast=eth0, syncid=${SYNC_ID}, .*group=224\\.0\\.0\\.81, port=8848, ttl=1\\)`,
      )
    assert.match(said.get(MASTER) ?? '', wanted('master'))
    assert.match(said.get(BACKUP) ?? '', wanted('backup'))
  })

  it('the backup knows a connection of the master and goes on with it', async () => {
    await leadTo(MASTER)
    const hold = await lab.hold(CLIENT, { url: URL })
    assert.match(hold.first.answerer, /^rs-a1:80 /)
    const [entry, ...more] = await established(MASTER)
    assert.ok(entry !== undefined)
    assert.deepEqual(more, [])
    await eventually(async () => assert.deepEqual(await established(BACKUP), [entry]), PATIENT)

    await leadTo(BACKUP)
    const { bytes } = await hold.status()
    await sleep(CARRY_MS)
    const status = await hold.status()
    assert.ok(status.alive && status.bytes > bytes, JSON.stringify(status))
    await hold.close()
  })

  it('without sync a connection breaks when the backup takes over', async () => {
    await lab.sh(BACKUP, 'ipvsadm --stop-daemon backup')
    await leadTo(MASTER)
    const hold = await lab.hold(CLIENT, { url: URL })
    assert.match(hold.first.answerer, /^rs-a1:80 /)
    await leadTo(BACKUP)
    await eventually(async () => {
      const status = await hold.status()
      assert.ok(!status.alive, JSON.stringify(status))
    }, PATIENT)
    await hold.close()
  })

  /** Both hold the VIP; which one gets its packets is the network's affair (VRRP, ECMP), here the router's neighbour. */
  async function leadTo(director: string): Promise<void> {
    const links = JSON.parse(await lab.sh(director, 'ip -j link show eth0')) as {
      address: string
    }[]
    await lab.sh(
      'rt-a',
      `ip neigh replace ${VIP} lladdr ${links[0]?.address} dev servers nud permanent`,
    )
  }

  /** Client, VIP and real server of the established connections that a director knows. */
  async function established(director: string): Promise<string[]> {
    const table = await lab.sh(director, 'cat /proc/net/ip_vs_conn')
    return table
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([protocol, , , , , , , state]) => protocol === 'TCP' && state === 'ESTABLISHED')
      .map((fields) => fields.slice(0, 7).join(' '))
  }
})

function compilePair() {
  const sync = (peer: string, role: 'master' | 'backup') => ({
    with: peer,
    network: 'servers',
    syncId: SYNC_ID,
    role,
  })
  const fleet = fleetFromDocument(
    fleetSchema.parse({
      sites: { a: { networks: [{ name: 'servers', cidrs: ['10.1.0.0/24'] }] } },
      directors: {
        [MASTER]: { site: 'a', addresses: ['10.1.0.10'], sync: sync(BACKUP, 'master') },
        [BACKUP]: { site: 'a', addresses: ['10.1.0.20'], sync: sync(MASTER, 'backup') },
      },
      realServers: { 'rs-a1': { site: 'a', addresses: ['10.1.0.11'] } },
      pools: { web: { members: [{ realServer: 'rs-a1' }] } },
      virtualServices: {
        web: {
          vips: [VIP],
          ports: [80],
          pool: 'web',
          carriedBy: { sites: ['a'] },
          vipDelivery: 'external',
        },
      },
    }),
  )
  assert.deepEqual(validateFleet(fleet), [])
  const compiled = compileFleet(fleet)
  assert.deepEqual(compiled.problems, [])
  return compiled
}
