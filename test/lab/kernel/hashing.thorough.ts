/**
 * What explain says of sh and mh, and why it computes no answer: the table follows the order in which destinations
 * came, so the same intent sends a client to one real server or to another.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { DIRECTOR, setUpByHand, VIP, VIP_URLS } from '../by-hand.ts'
import { startLab, type Lab } from '../lab.ts'
import { findHost } from '../topology.ts'

const SERVERS = ['rs-a1', 'rs-a2'] as const
const CLIENT = 'cl-a'
const SERVICE = `${VIP.v4}:80`

describe('schedulers that hash', () => {
  let lab: Lab
  let sources: string[] = []
  before(async () => {
    lab = await startLab()
    await setUpByHand(lab)
    const prefix = findHost(lab.topology, CLIENT).v4.replace(/\d+$/, '')
    sources = Array.from({ length: 12 }, (_, i) => `${prefix}${100 + i}`)
    await lab.sh(CLIENT, sources.map((source) => `ip addr add ${source}/32 dev eth0`).join('\n'))
  })
  after(async () => lab[Symbol.asyncDispose]())

  const program = async (scheduler: string, servers: readonly { name: string; weight: number }[]) =>
    lab.sh(
      DIRECTOR,
      [
        `ipvsadm -D -t ${SERVICE} || true`,
        `ipvsadm -A -t ${SERVICE} -s ${scheduler}`,
        ...servers.map(({ name, weight }) => {
          const address = findHost(lab.topology, name).v4
          return `ipvsadm -a -t ${SERVICE} -r ${address}:80 -g -w ${weight}`
        }),
      ].join('\n'),
    )

  /** Who answered each source: its name, or the error. */
  const answers = async (): Promise<string[]> => {
    const found: string[] = []
    for (const src of sources) {
      const histogram = await lab.get(CLIENT, { url: VIP_URLS.v4, n: 1, src })
      const [answer = ''] = Object.keys(histogram)
      found.push(answer.replace(/:80 from=.*$/, ''))
    }
    return found
  }
  const weighted = (
    weights: Readonly<Record<string, number>>,
    names: readonly string[] = SERVERS,
  ) => names.map((name) => ({ name, weight: weights[name] ?? 1 }))

  it('sh: the order in which destinations came decides, so intent alone cannot say', async () => {
    await program('sh', weighted({}))
    const there = await answers()
    assert.deepEqual([...new Set(there)].toSorted(), [...SERVERS])
    assert.deepEqual(await answers(), there, 'the same client comes to the same real server')
    await program('sh', weighted({}, SERVERS.toReversed()))
    const back = await answers()
    assert.deepEqual(
      back,
      there.map((name) => SERVERS.find((other) => other !== name)),
    )
  })

  it('sh: a destination of weight 0 keeps its place, and who hashes there is refused', async () => {
    await program('sh', weighted({ 'rs-a1': 0 }))
    const found = new Set(await answers())
    assert.equal(found.has('rs-a1'), false)
    assert.equal(found.has('rs-a2'), true)
    assert.ok(
      [...found].some((answer) => answer.includes('ECONNREFUSED')),
      [...found].join(),
    )
  })

  it('mh: a destination of weight 0 leaves the table, and its clients move', async () => {
    await program('mh', weighted({}))
    assert.deepEqual([...new Set(await answers())].toSorted(), [...SERVERS])
    await program('mh', weighted({ 'rs-a1': 0 }))
    assert.deepEqual([...new Set(await answers())], ['rs-a2'])
  })
})
