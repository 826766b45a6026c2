import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, type ClampState, type MarkState } from '@lvs-fleet/contract'
import type { NftResult, RunNft } from './run-nft.ts'
import { parseTable, parseTables, tableScript, type TableContent } from './table-script.ts'
import { Tables, type TableOp } from './tables.ts'

const a = { address: ip('10.1.0.100'), mss: 1440 }
const b = { address: ip('10.1.0.101'), mss: 1400 }
const six = { address: ip('fd01::100'), mss: 1400 }
const range: MarkState = {
  protocol: 'tcp',
  address: ip('10.1.0.100'),
  ports: { from: 8000, to: 8999 },
  mark: 0x4c000001,
}
const one: MarkState = { ...range, protocol: 'udp', ports: { from: 53, to: 53 } }
const sixth: MarkState = { ...range, address: ip('fd01::100'), mark: 7 }
type Entry = ClampState | MarkState
const isMark = (entry: Entry): entry is MarkState => 'mark' in entry
const content = (entries: readonly Entry[]): TableContent => ({
  clamps: entries.flatMap((entry) => (isMark(entry) ? [] : [entry])),
  marks: entries.filter(isMark),
})
const clampScaffold = `add map ip lvsfleet mss { typeof ip saddr : tcp option maxseg size; }
add chain ip lvsfleet clamp { type filter hook output priority mangle; policy accept; }
flush chain ip lvsfleet clamp
add rule ip lvsfleet clamp tcp flags syn tcp option maxseg size set ip saddr map @mss`
const markScaffold = `add map ip lvsfleet marks { type ipv4_addr . inet_proto . inet_service : mark; flags interval; }
add chain ip lvsfleet marking { type filter hook prerouting priority mangle; policy accept; }
flush chain ip lvsfleet marking
add rule ip lvsfleet marking meta mark set ip daddr . ip protocol . th dport map @marks`

const scripts: readonly {
  name: string
  from: Entry[]
  to: Entry[]
  want: string
}[] = [
  { name: 'nothing to do', from: [a, six, range], to: [a, six, range], want: '' },
  {
    name: 'first clamp',
    from: [],
    to: [a],
    want: `add table ip lvsfleet
${clampScaffold}
add element ip lvsfleet mss { 10.1.0.100 : 1440 }`,
  },
  {
    name: 'first marks',
    from: [],
    to: [range, one],
    want: `add table ip lvsfleet
${markScaffold}
add element ip lvsfleet marks { 10.1.0.100 . tcp . 8000-8999 : 1275068417, 10.1.0.100 . udp . 53 : 1275068417 }`,
  },
  {
    name: 'edited in place, the other map untouched',
    from: [a, b, range],
    to: [{ ...a, mss: 1300 }, b, range],
    want: `add table ip lvsfleet
${clampScaffold}
delete element ip lvsfleet mss { 10.1.0.100 }
add element ip lvsfleet mss { 10.1.0.100 : 1300 }`,
  },
  {
    name: 'a range that grows is swapped in one transaction',
    from: [range],
    to: [{ ...range, ports: { from: 8000, to: 9999 } }],
    want: `add table ip lvsfleet
${markScaffold}
delete element ip lvsfleet marks { 10.1.0.100 . tcp . 8000-8999 }
add element ip lvsfleet marks { 10.1.0.100 . tcp . 8000-9999 : 1275068417 }`,
  },
  {
    name: 'the last mark takes its map and chain along, and leaves the clamps',
    from: [a, range],
    to: [a],
    want: `add table ip lvsfleet
${markScaffold}
flush chain ip lvsfleet marking
delete chain ip lvsfleet marking
delete map ip lvsfleet marks`,
  },
  {
    name: 'the last element of a family takes its table along',
    from: [a, b, range, six],
    to: [six],
    want: 'add table ip lvsfleet\ndelete table ip lvsfleet',
  },
  {
    name: 'a map that lost its rule gets it back',
    from: [{ ...range, mark: 0 }],
    to: [range],
    want: `add table ip lvsfleet
${markScaffold}
delete element ip lvsfleet marks { 10.1.0.100 . tcp . 8000-8999 }
add element ip lvsfleet marks { 10.1.0.100 . tcp . 8000-8999 : 1275068417 }`,
  },
]
for (const { name, from, to, want } of scripts) {
  test(`script: ${name}`, () => assert.equal(tableScript(content(from), content(to)), want))
}

test('both families go in one transaction', () => {
  const script = tableScript(content([]), content([a, six, sixth]))
  assert.match(script, /add element ip lvsfleet mss \{ 10\.1\.0\.100 : 1440 \}\nadd table ip6/)
  assert.match(
    script,
    /set ip6 saddr map @mss\nadd element ip6 lvsfleet mss \{ fd01::100 : 1400 \}/,
  )
  assert.match(script, /type ipv6_addr \. inet_proto \. inet_service : mark; flags interval;/)
  assert.match(script, /marks \{ fd01::100 \. tcp \. 8000-8999 : 7 \}$/)
})

/** As nft 1.0.6 prints them. */
const document = (...objects: unknown[]) =>
  JSON.stringify({ nftables: [{ metainfo: {} }, ...objects] })
const tables = (...names: [string, string][]) =>
  document(...names.map(([family, name]) => ({ table: { family, name } })))
const printed = (name: 'mss' | 'marks', elem?: unknown) => [
  { map: { name, elem } },
  {
    rule: {
      chain: name === 'mss' ? 'clamp' : 'marking',
      expr: [{ mangle: { key: {}, value: { map: { key: {}, data: `@${name}` } } } }],
    },
  },
]
const concat = (...parts: unknown[]) => ({ concat: parts })

test('reads what nft prints', () => {
  const found = parseTables(tables(['ip', 'lvsfleet'], ['inet', 'lvsfleet'], ['ip6', 'other']))
  assert.deepEqual(found, ['ipv4'])
  assert.deepEqual(
    parseTable(
      document(
        ...printed('mss', [['10.1.0.100', 1440]]),
        ...printed('marks', [
          [concat('10.1.0.100', 'tcp', { range: [8000, 8999] }), 0x4c000001],
          [concat('10.1.0.100', 'udp', 53), 0x4c000001],
        ]),
      ),
    ),
    content([a, range, one]),
  )
  assert.deepEqual(parseTable(document(...printed('mss'), ...printed('marks'))), content([]))
})

test('elements that no rule looks up stand, with a value that nobody wants', () => {
  const [marked] = printed('marks', [[concat('fd01::100', 'tcp', { range: [8000, 8999] }), 7]])
  const [clamped] = printed('mss', [['fd01::100', 1400]])
  assert.deepEqual(
    parseTable(document(marked, clamped)),
    content([
      { ...six, mss: 0 },
      { ...sixth, mark: 0 },
    ]),
  )
})

test('refuses what it cannot read', () => {
  const mss = (elem: unknown) => document(...printed('mss', elem))
  const marks = (elem: unknown) => document(...printed('marks', elem))
  for (const text of [
    '',
    '[]',
    '{}',
    mss([['eth0', 1]]),
    mss([['10.1.0.1', 'x']]),
    mss([1]),
    marks([[concat('10.1.0.1', 'gre', 1), 7]]),
    marks([[concat('10.1.0.1', 'tcp'), 7]]),
    marks([['10.1.0.1', 7]]),
  ]) {
    assert.throws(() => parseTable(text), { code: 'EBADMSG' })
  }
})

/** An nft that keeps maps as the kernel does, from the scripts alone. */
function fakeNft(start: readonly Entry[] = [], refuse?: RegExp) {
  /** Family → map → element → value. */
  const kept = new Map<string, Map<string, Map<string, number>>>()
  const calls: string[] = []
  const run: RunNft = async (args, input): Promise<NftResult> => {
    calls.push(args.join(' '))
    if (args.includes('tables')) {
      return ok(tables(...[...kept.keys()].map((family): [string, string] => [family, 'lvsfleet'])))
    }
    if (args.includes('table')) {
      const maps = kept.get(args[3] ?? '')
      if (maps === undefined) return no('ENOENT', 'No such file or directory')
      return ok(document(...[...maps].flatMap(([name, elements]) => show(name, elements))))
    }
    if (refuse?.test(input) === true) return no('EINVAL', 'nft: refused')
    for (const line of input.trim().split('\n')) perform(line)
    return ok('')
  }
  function show(name: string, elements: ReadonlyMap<string, number>): unknown[] {
    if (name === 'mss') return printed('mss', [...elements])
    return printed(
      'marks',
      [...elements].map(([key, value]) => {
        const [address, protocol, ports = ''] = key.split(' . ')
        const [from, to = from] = ports.split('-').map(Number)
        return [concat(address, protocol, from === to ? from : { range: [from, to] }), value]
      }),
    )
  }
  function perform(line: string): void {
    const [verb, object, family = '', , name = ''] = line.split(' ')
    const maps = kept.get(family)
    if (object === 'table' && verb === 'add' && maps === undefined) kept.set(family, new Map())
    if (object === 'table' && verb === 'delete') assert(kept.delete(family))
    if (object === 'map' && verb === 'add' && maps?.has(name) === false) maps.set(name, new Map())
    if (object === 'map' && verb === 'delete') assert(maps?.delete(name))
    if (object !== 'element') return
    const elements = maps?.get(name)
    for (const text of line.replace(/^[^{]*\{ | \}$/g, '').split(', ')) {
      const [key = '', value] = text.split(' : ')
      if (verb === 'delete') assert(elements?.delete(key), line)
      else elements?.set(key, Number(value))
    }
  }
  for (const line of tableScript(content([]), content(start)).split('\n')) perform(line)
  return { run, calls, kept }
}
const ok = (output: string): NftResult => ({ ok: true, output })
const no = (code: string, message: string): NftResult => ({ ok: false, code, message })
const set = (entry: Entry): TableOp =>
  isMark(entry)
    ? { kind: 'mark.set', mark: entry, from: null }
    : { kind: 'clamp.set', clamp: entry, from: null }
const remove = (entry: Entry): TableOp =>
  isMark(entry) ? { kind: 'mark.remove', mark: entry } : { kind: 'clamp.remove', clamp: entry }

test('where no table is, nft is asked once', async () => {
  const nft = fakeNft()
  const found = new Tables(nft.run)
  assert.deepEqual([await found.observe(), await found.observe()], [content([]), content([])])
  assert.deepEqual(nft.calls, ['-j list tables'])
})

test('finds what a former agent left', async () => {
  const found = new Tables(fakeNft([a, six, range, sixth]).run)
  assert.deepEqual(await found.observe(), content([a, six, range, sixth]))
})

test('sets, edits and removes; the tables vanish with the last element', async () => {
  const nft = fakeNft()
  const found = new Tables(nft.run)
  await found.apply([set(a), set(b), set(six), set(range)])
  assert.deepEqual(await found.observe(), content([a, b, six, range]))
  const edited = { ...a, mss: 1200 }
  assert.deepEqual(await found.apply([set(edited), remove(six), set({ ...range, mark: 9 })]), {
    failures: [undefined, undefined, undefined],
    writeCount: 1,
  })
  assert.deepEqual(await found.observe(), content([b, edited, { ...range, mark: 9 }]))
  assert.deepEqual([...nft.kept.keys()], ['ip'])
  await found.apply([remove(edited), remove(b)])
  assert.deepEqual(await found.observe(), content([{ ...range, mark: 9 }]))
  await found.apply([remove(range)])
  assert.equal(nft.kept.size, 0)
  nft.calls.length = 0
  assert.deepEqual([await found.observe(), nft.calls.length], [content([]), 0])
})

test('a table that somebody took away holds nothing, and is made again', async () => {
  const nft = fakeNft([a, range])
  const found = new Tables(nft.run)
  await found.observe()
  nft.kept.clear()
  assert.deepEqual(await found.observe(), content([]))
  await found.apply([set(a), set(range)])
  assert.deepEqual(await found.observe(), content([a, range]))
})

test('one element that is refused does not stop the others', async () => {
  const found = new Tables(fakeNft([], /10\.1\.0\.101/).run)
  const { failures } = await found.apply([set(a), set(b), set(six), set(range)])
  assert.deepEqual(
    failures.map((failure) => failure?.code),
    [undefined, 'EINVAL', undefined, undefined],
  )
  assert.deepEqual(await found.observe(), content([a, six, range]))
})

test('without nft there is nothing, and setting one says what is missing', async () => {
  const message = 'nft is not installed: apt-get install nftables'
  const found = new Tables(async () => no('ENOTSUP', message))
  assert.deepEqual(await found.observe(), content([]))
  assert.deepEqual((await found.apply([set(a)])).failures, [{ code: 'ENOTSUP', message }])
})

test('an nft that fails is an error, never an absence', async () => {
  const found = new Tables(async () => no('EPERM', 'nft: Operation not permitted'))
  await assert.rejects(found.observe(), { code: 'EPERM' })
})
