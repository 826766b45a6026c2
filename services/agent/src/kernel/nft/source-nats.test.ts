import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, sourceNatKey, type SourceNatState } from '@lvs-fleet/contract'
import type { NftResult, RunNft } from './run-nft.ts'
import { parseSourceNats, parseSourceNatTables, sourceNatScript } from './source-nat-rules.ts'
import { SourceNats, type SourceNatOp } from './source-nats.ts'

const a = { vip: ip('10.1.0.100'), server: ip('10.2.0.11') }
const b = { vip: ip('10.1.0.100'), server: ip('10.2.0.12') }
const six = { vip: ip('fd01::100'), server: ip('fd02::11') }
const table = (...pairs: SourceNatState[]) => new Map(pairs.map((p) => [sourceNatKey(p), p]))
const scaffold = `add table ip lvsfleet-nat
add set ip lvsfleet-nat sources { type ipv4_addr . ipv4_addr; }
add chain ip lvsfleet-nat source { type nat hook postrouting priority srcnat; policy accept; }
flush chain ip lvsfleet-nat source
add rule ip lvsfleet-nat source ct original ip daddr . ip daddr @sources masquerade`

const scripts: readonly {
  name: string
  from: SourceNatState[]
  to: SourceNatState[]
  want: string
}[] = [
  { name: 'nothing to do', from: [a, six], to: [a, six], want: '' },
  {
    name: 'the first pair',
    from: [],
    to: [a],
    want: `${scaffold}\nadd element ip lvsfleet-nat sources { 10.1.0.100 . 10.2.0.11 }`,
  },
  {
    name: 'one goes, another comes',
    from: [a],
    to: [b],
    want: `${scaffold}
delete element ip lvsfleet-nat sources { 10.1.0.100 . 10.2.0.11 }
add element ip lvsfleet-nat sources { 10.1.0.100 . 10.2.0.12 }`,
  },
  {
    name: 'the last pair of a family takes its table along',
    from: [a, six],
    to: [six],
    want: 'add table ip lvsfleet-nat\ndelete table ip lvsfleet-nat',
  },
]
for (const { name, from, to, want } of scripts) {
  test(`script: ${name}`, () => {
    assert.equal(sourceNatScript(table(...from), table(...to)), want)
  })
}

/** As nft 1.0.6 prints them. */
const tables = (...names: [string, string][]) =>
  JSON.stringify({
    nftables: [{ metainfo: {} }, ...names.map(([family, name]) => ({ table: { family, name } }))],
  })
const set = (elem?: unknown) => JSON.stringify({ nftables: [{ metainfo: {} }, { set: { elem } }] })

test('reads what nft prints', () => {
  const found = parseSourceNatTables(tables(['ip6', 'lvsfleet-nat'], ['ip', 'lvsfleet']))
  assert.deepEqual(found, ['ipv6'], 'the table of the clamps is another one')
  assert.deepEqual(parseSourceNats(set([{ concat: ['10.1.0.100', '10.2.0.11'] }])), [a])
  assert.deepEqual(parseSourceNats(set()), [])
})

test('refuses what it cannot read', () => {
  for (const elements of [[1], [{ concat: ['10.1.0.100'] }], [{ concat: ['eth0', '10.2.0.11'] }]]) {
    assert.throws(() => parseSourceNats(set(elements)), { code: 'EBADMSG' })
  }
})

/** An nft that keeps pairs as the kernel does, from the scripts alone. */
function fakeNft(refuse?: RegExp) {
  const kept = new Map<string, Set<string>>()
  const calls: string[] = []
  const run: RunNft = async (args, input): Promise<NftResult> => {
    calls.push(args.join(' '))
    if (args.includes('tables')) {
      const names = [...kept.keys()].map((family): [string, string] => [family, 'lvsfleet-nat'])
      return { ok: true, output: tables(...names) }
    }
    if (args.includes('set')) {
      const pairs = kept.get(args[3] ?? '')
      if (pairs === undefined) return { ok: false, code: 'ENOENT', message: 'No such file' }
      return { ok: true, output: set([...pairs].map((pair) => ({ concat: pair.split(' . ') }))) }
    }
    if (refuse?.test(input) === true) return { ok: false, code: 'EINVAL', message: 'nft: refused' }
    for (const line of input.trim().split('\n')) perform(line)
    return { ok: true, output: '' }
  }
  function perform(line: string): void {
    const [verb, object, family = ''] = line.split(' ')
    if (object === 'table' && verb === 'add' && !kept.has(family)) kept.set(family, new Set())
    if (object === 'table' && verb === 'delete') assert(kept.delete(family))
    if (object !== 'element') return
    for (const pair of /\{ (.*) \}/.exec(line)?.[1]?.split(', ') ?? []) {
      if (verb === 'delete') assert(kept.get(family)?.delete(pair), line)
      else kept.get(family)?.add(pair)
    }
  }
  return { run, calls, kept }
}
const add = (sourceNat: SourceNatState): SourceNatOp => ({ kind: 'source-nat.add', sourceNat })
const remove = (sourceNat: SourceNatState): SourceNatOp => ({
  kind: 'source-nat.remove',
  sourceNat,
})

test('adds and removes; the tables vanish with the last pair, and nft is asked no more', async () => {
  const nft = fakeNft()
  const pairs = new SourceNats(nft.run)
  assert.deepEqual(await pairs.observe(), [])
  await pairs.apply([add(a), add(b), add(six)])
  assert.deepEqual(await pairs.observe(), [a, b, six])
  assert.deepEqual(await new SourceNats(nft.run).observe(), [a, b, six], 'also by the next agent')
  await pairs.apply([remove(b), remove(six)])
  assert.deepEqual([await pairs.observe(), [...nft.kept.keys()]], [[a], ['ip']])
  await pairs.apply([remove(a)])
  assert.equal(nft.kept.size, 0)
  nft.calls.length = 0
  assert.deepEqual([await pairs.observe(), nft.calls.length], [[], 0])
})

test('one pair that is refused does not stop the others', async () => {
  const pairs = new SourceNats(fakeNft(/10\.2\.0\.12/).run)
  const { failures } = await pairs.apply([add(a), add(b), add(six)])
  assert.deepEqual(
    failures.map((failure) => failure?.code),
    [undefined, 'EINVAL', undefined],
  )
  assert.deepEqual(await pairs.observe(), [a, six])
})

test('without nft there is no source NAT, and adding one says what is missing', async () => {
  const message = 'nft is not installed: apt-get install nftables'
  const pairs = new SourceNats(async () => ({ ok: false, code: 'ENOTSUP', message }))
  assert.deepEqual(await pairs.observe(), [])
  assert.deepEqual((await pairs.apply([add(a)])).failures, [{ code: 'ENOTSUP', message }])
})
