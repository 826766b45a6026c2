import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { ip, pathKey, type PathState } from '@lvs-fleet/contract'
import { createFakeClock } from '../../../../test/fakes/fake-clock.ts'
import { FakePathSockets } from '../../../../test/fakes/fake-path-sockets.ts'
import { KernelError } from '../kernel/kernel.ts'
import type { HostFacts } from '../report.ts'
import { pathRounds } from './path-rounds.ts'

const A = path(1, '10.2.0.11', 1480)
const B = path(2, '10.2.0.12', 1476)
const NAT: PathState = { ...path(3, '10.1.0.11', 1500), forwarding: { method: 'nat' } }

let stop = new AbortController()
afterEach(() => stop.abort())

describe('pathRounds', () => {
  it('measures each path within a quarter of a minute, by its mark and from its source, and says that all fit', async () => {
    const bench = start([A, B])
    bench.sockets.behind.set(A.mark, { carries: 1480, otherwise: 'silent' })
    bench.sockets.behind.set(B.mark, { carries: 1476, otherwise: 'silent' })
    await bench.pass(15)
    assert.deepEqual(bench.facts.paths, {
      narrow: [],
      narrowCount: 0,
      fittingCount: 2,
      unknownCount: 0,
    })
    const [first] = bench.sockets.sent.filter(({ to }) => to.mark === A.mark)
    assert.deepEqual(first?.to, {
      mark: A.mark,
      source: A.source,
      address: A.vip,
      port: A.closedPort,
    })
    assert.equal(bench.sockets.sent.length, 2)
  })

  it('tells of a path that got narrow at its next turn, with what passes, and of its recovery', async () => {
    const bench = start([A, B])
    bench.sockets.behind.set(A.mark, { carries: 1480, otherwise: 'silent' })
    bench.sockets.behind.set(B.mark, { carries: 1476, otherwise: 'silent' })
    await bench.pass(15)
    bench.sockets.behind.set(A.mark, { carries: 1380, otherwise: 'silent' })
    await bench.pass(500)
    assert.deepEqual(bench.facts.paths?.narrow, [
      { realServer: A.realServer, path: pathKey(A), vip: A.vip, mtu: 1480, carries: 1380 },
    ])
    assert.deepEqual([bench.facts.paths?.narrowCount, bench.facts.paths?.fittingCount], [1, 1])
    bench.sockets.behind.set(A.mark, { carries: 1480, otherwise: 'silent' })
    await bench.pass(500)
    assert.equal(bench.facts.paths?.narrowCount, 0)
    // First, narrow, recovered: a report for each piece of news and no more.
    assert.ok(bench.news() <= 4, `${bench.news()} reports`)
  })

  it('ends an alarm within seconds of its cause, by one datagram, and asks the others no more often', async () => {
    const bench = start([A, B])
    bench.sockets.behind.set(A.mark, { carries: 1380, otherwise: 'silent' })
    bench.sockets.behind.set(B.mark, { carries: 1476, otherwise: 'silent' })
    await bench.pass(60)
    assert.equal(bench.facts.paths?.narrowCount, 1)
    const measured = bench.sockets.sent.length
    await bench.pass(60)
    const asked = bench.sockets.sent.slice(measured)
    assert.ok(asked.length >= 3 && asked.length <= 4, `${asked.length} datagrams in a minute`)
    assert.ok(asked.every(({ to, bytes }) => to.mark === A.mark && bytes === A.mtu))
    assert.equal(bench.facts.paths?.narrowCount, 1)
    bench.sockets.behind.set(A.mark, { carries: 1480, otherwise: 'silent' })
    await bench.pass(17)
    assert.deepEqual([bench.facts.paths?.narrowCount, bench.facts.paths?.fittingCount], [0, 2])
    const healed = bench.sockets.sent.length
    await bench.pass(60)
    assert.equal(bench.sockets.sent.length, healed, 'a path that is well waits for its turn')
  })

  it('measures a path that stays narrow anew at its turn, so that what it carries is true', async () => {
    const bench = start([A])
    bench.sockets.behind.set(A.mark, { carries: 1380, otherwise: 'silent' })
    await bench.pass(60)
    bench.sockets.behind.set(A.mark, { carries: 1300, otherwise: 'silent' })
    await bench.pass(450)
    assert.equal(bench.facts.paths?.narrow[0]?.carries, 1300)
  })

  it('asks no real server for more than an ICMP error a second', async () => {
    const bench = start([A])
    bench.sockets.behind.set(A.mark, { carries: 1380, otherwise: 'too-big' })
    await bench.pass(60)
    const answered = bench.sockets.sent.filter(({ bytes }) => bytes <= 1380)
    assert.ok(answered.length > 5)
    for (const [n, { atMs }] of answered.entries()) {
      const before = answered[n - 1]
      if (before !== undefined) assert.ok(atMs - before.atMs >= 1_000, `${atMs - before.atMs} ms`)
    }
  })

  it('never measures NAT, which adds nothing, and forgets a path that is gone', async () => {
    const bench = start([A, NAT])
    bench.sockets.behind.set(A.mark, { carries: 1380, otherwise: 'too-big' })
    await bench.pass(60)
    assert.equal(bench.facts.paths?.narrowCount, 1)
    assert.ok(bench.sockets.sent.every(({ to }) => to.mark === A.mark))
    bench.paths.splice(0)
    await bench.pass(2)
    assert.equal(bench.facts.paths, null)
  })

  it('asks anew at once where another size was computed', async () => {
    const bench = start([A])
    bench.sockets.behind.set(A.mark, { carries: 1380, otherwise: 'too-big' })
    await bench.pass(60)
    assert.equal(bench.facts.paths?.narrowCount, 1)
    bench.paths.splice(0, 1, { ...A, mtu: 1380 })
    await bench.pass(20)
    assert.deepEqual([bench.facts.paths?.narrowCount, bench.facts.paths?.fittingCount], [0, 1])
  })

  it('goes on with unknown where the kernel gives no socket, and says why', async () => {
    const bench = start([A])
    bench.sockets.sendDatagram = () => Promise.reject(new KernelError('open', 'EPERM', 'no'))
    await bench.pass(20)
    assert.equal(bench.facts.paths?.unknownCount, 1)
    assert.match(bench.logs.join(), /a path cannot be measured.*EPERM/)
  })

  it('holds on to an alarm while the kernel gives no socket to ask whether it is over', async () => {
    const bench = start([A])
    bench.sockets.behind.set(A.mark, { carries: 1380, otherwise: 'too-big' })
    await bench.pass(60)
    bench.sockets.sendDatagram = () => Promise.reject(new KernelError('open', 'EPERM', 'no'))
    await bench.pass(60)
    assert.equal(bench.facts.paths?.narrowCount, 1)
  })
})

function start(paths: PathState[]) {
  stop = new AbortController()
  const clock = createFakeClock()
  const sockets = new FakePathSockets(clock)
  const facts: HostFacts = { bootId: 'b', kernelVersion: '6.1', agentVersion: '1' }
  const logs: string[] = []
  let news = 0
  const work = pathRounds(
    {
      agent: { standingPaths: () => [...paths] },
      sockets,
      clock,
      random: () => 0.5,
      log: (level, message, fields) => logs.push(`${level} ${message} ${JSON.stringify(fields)}`),
      everySeconds: 300,
      facts,
      onNews: () => news++,
    },
    stop.signal,
  )
  void work.catch((error: unknown) => logs.push(String(error)))
  return {
    paths,
    sockets,
    facts,
    logs,
    news: () => news,
    /** Time goes on in small steps, and everything that waits for it gets its turn. */
    async pass(seconds: number): Promise<void> {
      for (let ms = 0; ms < seconds * 1_000; ms += 100) {
        clock.advance(100)
        await new Promise((resolve) => setImmediate(resolve))
      }
      assert.deepEqual(
        logs.filter((line) => !line.startsWith('warn')),
        [],
      )
    },
  }
}

function path(n: number, address: string, mtu: number): PathState {
  return {
    mark: 0x4d00_0000 + n,
    realServer: `rs-b${n}`,
    family: 'ipv4',
    address: ip(address),
    port: 0,
    forwarding: { method: 'tun', tunnel: { type: 'ipip' } },
    mtu,
    source: ip('10.1.0.10'),
    vip: ip('10.1.0.100'),
    closedPort: 33_434,
  }
}
