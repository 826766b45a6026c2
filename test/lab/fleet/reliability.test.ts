/** What a director does when things die: forwards on, comes back from disk, repairs what is its own and nothing else. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import { eventually } from './eventually.ts'
import { FleetLab, REAL_SERVERS, twoSiteIntent } from './fleet-lab.ts'
import { measureChanges } from './measure-changes.ts'
import { writesDuring } from './netlink-witness.ts'

const WEB_A = 'http://10.1.0.100/'
const EDGE = '-t 10.1.0.100:80'

describe('a fleet that things happen to', () => {
  let fleet: FleetLab

  before(async () => {
    fleet = await FleetLab.start()
    await fleet.bringUp()
  })
  after(async () => fleet.stop())

  it('is woken by an API write: none waits for the next poll', async () => {
    // How quick it is on a quiet machine is latency.thorough.ts' business.
    const slowest = Math.max(...(await measureChanges(fleet, 40)))
    assert.ok(slowest < 10_000, `the slowest of 40 took ${slowest} ms`)
  })

  it('writes nothing to the kernel while nothing changes', async () => {
    assert.deepEqual(await writesDuring(fleet.lab, 'dir-a', () => sleep(8_000)), [])
  })

  it('edits a weight with one message for each virtual service that has it', async () => {
    const writes = await writesDuring(fleet.lab, 'dir-a', async () => {
      const members = REAL_SERVERS.map((realServer) => ({
        realServer,
        weight: realServer === 'rs-b2' ? 7 : 100,
      }))
      await fleet.controller.call('PATCH', '/v1/pools/web?force=true', { members })
      await fleet.converged()
    })
    // One for the IPv4 VIP, one for the IPv6 VIP.
    assert.deepEqual(writes, ['set destination', 'set destination'])
    await fleet.applyIntent(twoSiteIntent())
    await fleet.converged()
  })

  it('repairs a virtual service that was deleted by hand, and reports it', async () => {
    await fleet.lab.sh('dir-a', `ipvsadm -D ${EDGE}`)
    await eventually(async () => {
      const table = await fleet.lab.ipvsadm('dir-a')
      assert.equal(table.filter((line) => line.includes(`${EDGE} `)).length, 5)
    })
    await eventually(async () => {
      const drifted = await fleet.condition('dir-a', 'drifted')
      assert.match(drifted.message, /10\.1\.0\.100:80/)
    })
  })

  it('repairs an address at once, woken by the kernel', async () => {
    await fleet.lab.sh('dir-a', 'ip addr del 10.1.0.100/32 dev eth0')
    await eventually(
      async () =>
        assert.match(await fleet.lab.sh('dir-a', 'ip -o addr show dev eth0'), /10\.1\.0\.100\/32/),
      { withinMs: 3_000, everyMs: 50 },
    )
  })

  it('leaves a foreign virtual service alone, whatever happens around it', async () => {
    const foreign = ['-A -t 10.1.0.10:9999 -s rr', '-a -t 10.1.0.10:9999 -r 10.1.0.11:9999 -g -w 7']
    for (const line of foreign) await fleet.lab.sh('dir-a', `ipvsadm ${line}`)
    const stands = async () => {
      const table = await fleet.lab.ipvsadm('dir-a')
      assert.deepEqual(
        table.filter((line) => line.includes('9999')),
        foreign.toSorted(),
      )
    }
    await sleep(4_000)
    await stands()
    const document = twoSiteIntent()
    delete document['virtualServices']?.['web-a']
    document['virtualServices'] = { ...document['virtualServices'] }
    await fleet.applyIntent({ ...document }, '?allowShrink=true')
    await fleet.applyIntent(twoSiteIntent())
    await fleet.converged()
    await stands()
    await fleet.stopAgent('dir-a', 'SIGKILL')
    await fleet.startAgent('dir-a', { enrol: false })
    await fleet.converged()
    await stands()
    await fleet.lab.sh('dir-a', 'ipvsadm -D -t 10.1.0.10:9999')
  })

  it('forwards on when the agent is killed, and when it ends in order', async () => {
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const table = await fleet.lab.ipvsadm('dir-a')
      await fleet.stopAgent('dir-a', signal)
      assert.deepEqual(await fleet.lab.ipvsadm('dir-a'), table)
      assert.deepEqual(await answered(fleet), REAL_SERVERS)
      await fleet.startAgent('dir-a', { enrol: false })
      await fleet.converged(['dir-a'])
      assert.deepEqual(await fleet.lab.ipvsadm('dir-a'), table)
    }
  })

  it('lets a removed real server finish its connections, over a restart of the agent', async () => {
    const holds = await Promise.all(
      Array.from({ length: 8 }, () => fleet.lab.hold('cl-a', { url: WEB_A })),
    )
    const onB2 = holds.filter((hold) => hold.first.answerer.startsWith('rs-b2'))
    assert.ok(onB2.length > 0, 'no connection went to rs-b2')
    const document = twoSiteIntent()
    document['pools'] = {
      web: { members: ['rs-a1', 'rs-a2', 'rs-b1'].map((realServer) => ({ realServer })) },
    }
    await fleet.applyIntent(document)
    await eventually(async () =>
      assert.match((await destination(fleet, '10.2.0.12')) ?? 'gone', / -w 0( |$)/),
    )
    await fleet.stopAgent('dir-a', 'SIGKILL')
    await fleet.startAgent('dir-a', { enrol: false })
    await fleet.converged(['dir-a'])
    await sleep(3_000)
    assert.match(
      (await destination(fleet, '10.2.0.12')) ?? 'gone',
      / -w 0( |$)/,
      'a restart forgot the drain',
    )
    for (const hold of onB2) assert.equal((await hold.status()).alive, true)
    assert.deepEqual(await answered(fleet), ['rs-a1', 'rs-a2', 'rs-b1'])
    for (const hold of holds) await hold.close()
    await eventually(async () => assert.equal(await destination(fleet, '10.2.0.12'), undefined), {
      withinMs: 20_000,
    })
    await fleet.applyIntent(twoSiteIntent())
    await fleet.converged()
  })

  it('holds no traffic back when controller and database are dead, and writes nothing', async () => {
    await fleet.controller.kill()
    const table = await fleet.lab.ipvsadm('dir-a')
    const writes = await writesDuring(fleet.lab, 'dir-a', async () => {
      await sleep(4_000)
      assert.deepEqual(await answered(fleet), REAL_SERVERS)
    })
    assert.deepEqual(writes, [])
    assert.deepEqual(await fleet.lab.ipvsadm('dir-a'), table)
  })

  it('comes back from disk after a power cut, with no controller to ask', async () => {
    const table = await fleet.lab.ipvsadm('dir-a')
    await fleet.lab.setApiPort(undefined)
    await fleet.lab.reboot()
    assert.deepEqual(await fleet.lab.ipvsadm('dir-a'), [])
    await fleet.serveAll()
    fleet.agents.clear()
    await Promise.all(
      ['dir-a', 'dir-b', ...REAL_SERVERS].map((name) => fleet.startAgent(name, { enrol: false })),
    )
    await eventually(async () => assert.deepEqual(await fleet.lab.ipvsadm('dir-a'), table), {
      withinMs: 30_000,
    })
    await eventually(async () => assert.deepEqual(await answered(fleet), REAL_SERVERS), {
      withinMs: 30_000,
    })
  })

  it('takes up what was missed when the controller is there again', async () => {
    await fleet.controller.start()
    await fleet.lab.setApiPort(fleet.controller.port)
    await fleet.controller.call('PATCH', '/v1/sites/b?force=true', { state: 'drain' })
    await fleet.converged(undefined, 60_000)
    assert.deepEqual(await answered(fleet), ['rs-a1', 'rs-a2'])
  })
})

/** Real servers that answer the client of site a now, sorted. */
async function answered(fleet: FleetLab): Promise<string[]> {
  const answers = await fleet.lab.get('cl-a', { url: WEB_A, n: 16 })
  return [
    ...new Set(Object.keys(answers).map((answer) => answer.split(':')[0] ?? answer)),
  ].toSorted()
}

/** The ipvsadm line of one destination of the virtual service of site a. */
async function destination(fleet: FleetLab, address: string): Promise<string | undefined> {
  const table = await fleet.lab.ipvsadm('dir-a')
  return table.find((line) => line.startsWith(`-a ${EDGE} -r ${address}:80`))
}
