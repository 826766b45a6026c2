import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, type ClampState } from '@lvs-fleet/contract'
import { clampScript, parseClamps, parseTables } from './clamp-rules.ts'
import { Clamps, type ClampOp } from './clamps.ts'
import type { NftResult, RunNft } from './run-nft.ts'

const a = { address: ip('10.1.0.100'), mss: 1440 }
const b = { address: ip('10.1.0.101'), mss: 1400 }
const six = { address: ip('fd01::100'), mss: 1400 }
const table = (...clamps: ClampState[]) => new Map(clamps.map((c) => [c.address, c.mss]))
const scaffold = `add table ip lvsfleet
add map ip lvsfleet mss { typeof ip saddr : tcp option maxseg size; }
add chain ip lvsfleet clamp { type filter hook output priority mangle; policy accept; }
flush chain ip lvsfleet clamp
add rule ip lvsfleet clamp tcp flags syn tcp option maxseg size set ip saddr map @mss`

const scripts: readonly { name: string; from: ClampState[]; to: ClampState[]; want: string }[] = [
  { name: 'nothing to do', from: [a, six], to: [a, six], want: '' },
  {
    name: 'first clamp',
    from: [],
    to: [a],
    want: `${scaffold}\nadd element ip lvsfleet mss { 10.1.0.100 : 1440 }`,
  },
  {
    name: 'edited in place',
    from: [a, b],
    to: [{ ...a, mss: 1300 }, b],
    want: `${scaffold}
delete element ip lvsfleet mss { 10.1.0.100 }
add element ip lvsfleet mss { 10.1.0.100 : 1300 }`,
  },
  {
    name: 'the last clamp of a family takes its table along',
    from: [a, b, six],
    to: [six],
    want: 'add table ip lvsfleet\ndelete table ip lvsfleet',
  },
]
for (const { name, from, to, want } of scripts) {
  test(`script: ${name}`, () => assert.equal(clampScript(table(...from), table(...to)), want))
}

test('both families go in one transaction', () => {
  const script = clampScript(table(), table(a, six))
  assert.match(script, /add element ip lvsfleet mss \{ 10\.1\.0\.100 : 1440 \}\nadd table ip6/)
  assert.match(
    script,
    /set ip6 saddr map @mss\nadd element ip6 lvsfleet mss \{ fd01::100 : 1400 \}$/,
  )
})

/** As nft 1.0.6 prints them. */
const tables = (...names: [string, string][]) =>
  JSON.stringify({
    nftables: [{ metainfo: {} }, ...names.map(([family, name]) => ({ table: { family, name } }))],
  })
const map = (elem?: unknown) => JSON.stringify({ nftables: [{ metainfo: {} }, { map: { elem } }] })

test('reads what nft prints', () => {
  const found = parseTables(tables(['ip', 'lvsfleet'], ['inet', 'lvsfleet'], ['ip6', 'other']))
  assert.deepEqual(found, ['ipv4'])
  assert.deepEqual(parseClamps(map([['10.1.0.100', 1440]])), [a])
  assert.deepEqual(parseClamps(map()), [])
})

test('refuses what it cannot read', () => {
  for (const text of ['', '[]', '{}', map([['eth0', 1]]), map([['10.1.0.1', 'x']]), map([1])]) {
    assert.throws(() => parseClamps(text), { code: 'EBADMSG' })
  }
})

/** An nft that keeps clamps as the kernel does, from the scripts alone. */
function fakeNft(start: readonly ClampState[] = [], refuse?: RegExp) {
  const kept = new Map<string, Map<string, number>>()
  const calls: string[] = []
  const has = (family: string) => kept.get(family)
  const run: RunNft = async (args, input): Promise<NftResult> => {
    calls.push(args.join(' '))
    if (args.includes('tables')) {
      return ok(tables(...[...kept.keys()].map((family): [string, string] => [family, 'lvsfleet'])))
    }
    if (args.includes('map')) {
      const elements = has(args[3] ?? '')
      if (elements === undefined) return no('ENOENT', 'No such file or directory')
      return ok(map(elements.size === 0 ? undefined : [...elements]))
    }
    if (refuse?.test(input) === true) return no('EINVAL', 'nft: refused')
    for (const line of input.trim().split('\n')) perform(line)
    return ok('')
  }
  function perform(line: string): void {
    const [verb, object, family = ''] = line.split(' ')
    const elements = [...line.matchAll(/([0-9a-f.:]+[0-9a-f])(?: : (\d+))?[ ,]/g)]
    if (object === 'table' && verb === 'add' && !kept.has(family)) kept.set(family, new Map())
    if (object === 'table' && verb === 'delete') assert(kept.delete(family))
    if (object !== 'element') return
    for (const [, address = '', mss] of elements.filter(([, text]) => /[.:]/.test(text ?? ''))) {
      if (verb === 'delete') assert(has(family)?.delete(address), line)
      else has(family)?.set(address, Number(mss))
    }
  }
  if (start.length > 0)
    for (const line of clampScript(new Map(), table(...start)).split('\n')) perform(line)
  return { run, calls, kept }
}
const ok = (output: string): NftResult => ({ ok: true, output })
const no = (code: string, message: string): NftResult => ({ ok: false, code, message })
const set = (clamp: ClampState): ClampOp => ({ kind: 'clamp.set', clamp, from: null })
const remove = (clamp: ClampState): ClampOp => ({ kind: 'clamp.remove', clamp })

test('where no clamp is, nft is asked once', async () => {
  const nft = fakeNft()
  const clamps = new Clamps(nft.run)
  assert.deepEqual([await clamps.observe(), await clamps.observe()], [[], []])
  assert.deepEqual(nft.calls, ['-j list tables'])
})

test('finds the clamps that a former agent left', async () => {
  const clamps = new Clamps(fakeNft([a, six]).run)
  assert.deepEqual(await clamps.observe(), [a, six])
})

test('sets, edits and removes; the tables vanish with the last clamp', async () => {
  const nft = fakeNft()
  const clamps = new Clamps(nft.run)
  await clamps.apply([set(a), set(b), set(six)])
  assert.deepEqual(await clamps.observe(), [a, b, six])
  const edited = { ...a, mss: 1200 }
  assert.deepEqual(await clamps.apply([set(edited), remove(six)]), {
    failures: [undefined, undefined],
    writeCount: 1,
  })
  assert.deepEqual(await clamps.observe(), [b, edited])
  assert.deepEqual([...nft.kept.keys()], ['ip'])
  await clamps.apply([remove(edited), remove(b)])
  assert.equal(nft.kept.size, 0)
  nft.calls.length = 0
  assert.deepEqual([await clamps.observe(), nft.calls.length], [[], 0])
})

test('a table that somebody took away is no clamp, and is made again', async () => {
  const nft = fakeNft([a])
  const clamps = new Clamps(nft.run)
  await clamps.observe()
  nft.kept.clear()
  assert.deepEqual(await clamps.observe(), [])
  await clamps.apply([set(a)])
  assert.deepEqual(await clamps.observe(), [a])
})

test('one clamp that is refused does not stop the others', async () => {
  const clamps = new Clamps(fakeNft([], /10\.1\.0\.101/).run)
  const { failures } = await clamps.apply([set(a), set(b), set(six)])
  assert.deepEqual(
    failures.map((failure) => failure?.code),
    [undefined, 'EINVAL', undefined],
  )
  assert.deepEqual(await clamps.observe(), [a, six])
})

test('without nft there are no clamps, and setting one says what is missing', async () => {
  const message = 'nft is not installed: apt-get install nftables'
  const clamps = new Clamps(async () => no('ENOTSUP', message))
  assert.deepEqual(await clamps.observe(), [])
  assert.deepEqual((await clamps.apply([set(a)])).failures, [{ code: 'ENOTSUP', message }])
})

test('an nft that fails is an error, never an absence of clamps', async () => {
  const clamps = new Clamps(async () => no('EPERM', 'nft: Operation not permitted'))
  await assert.rejects(clamps.observe(), { code: 'EPERM' })
})
