import assert from 'node:assert/strict'
import { hash as digest } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalJson } from './canonical.ts'
import {
  AUDIT_START,
  auditText,
  AuditVerifier,
  type AuditCheckpoint,
  type AuditRecord,
} from './audit.ts'

const TAMPERINGS = 10_000
const LENGTH = 20

const sha256 = (text: string) => digest('sha256', text)

function chain(length: number, seed = 0): AuditRecord[] {
  const records: AuditRecord[] = []
  let previous = AUDIT_START
  for (let n = 0; n < length; n++) {
    const event = {
      number: 1 + n * 2,
      at: new Date(1_700_000_000_000 + n * 1_000).toISOString(),
      actor: `api-key/k${(n + seed) % 3}`,
      action: n % 4 === 0 ? 'refused' : 'pool.put',
      subject: `pool p${n}`,
      revision: n % 4 === 0 ? null : n,
      detail: { changes: n, nested: { list: [1, 'two', null] } },
    }
    const hash = sha256(auditText(event, previous))
    records.push({ ...event, hash })
    previous = hash
  }
  return records
}

function headOf(records: readonly AuditRecord[]): AuditCheckpoint {
  const last = records.at(-1)
  assert.ok(last)
  return { number: last.number, hash: last.hash, at: last.at }
}

function faultsOf(records: readonly AuditRecord[], checkpoints: readonly AuditCheckpoint[]) {
  const verifier = new AuditVerifier(sha256, checkpoints)
  for (const record of records) verifier.take(record)
  return verifier.verdict().faults
}

/** The chain as somebody would write it who has the database and knows how hashes are made, but not the key. */
function rehashed(records: readonly AuditRecord[]): AuditRecord[] {
  let previous = AUDIT_START
  return records.map((record) => {
    previous = sha256(auditText(record, previous))
    return { ...record, hash: previous }
  })
}

const at = fc.nat({ max: LENGTH - 1 })
const edits = fc.constantFrom<(record: AuditRecord) => AuditRecord>(
  (record) => ({ ...record, actor: `${record.actor}x` }),
  (record) => ({ ...record, action: 'fleet.put' }),
  (record) => ({ ...record, subject: '' }),
  (record) => ({ ...record, revision: (record.revision ?? 0) + 1 }),
  (record) => ({ ...record, at: new Date(Date.parse(record.at) + 1).toISOString() }),
  (record) => ({ ...record, detail: { ...record.detail, changes: -1 } }),
  (record) => ({ ...record, detail: {} }),
  (record) => ({ ...record, number: record.number + 1 }),
  (record) => ({ ...record, hash: sha256(record.hash) }),
)

/** Each gives another trail than the one that was there. */
const tamperings = fc.oneof(
  fc.tuple(at, edits).map(([n, edit]) => ({
    what: 'edit',
    tamper: (all: AuditRecord[]) => all.map((record, i) => (i === n ? edit(record) : record)),
  })),
  at.map((n) => ({ what: 'delete', tamper: (all: AuditRecord[]) => all.toSpliced(n, 1) })),
  fc
    .tuple(at, at)
    .filter(([a, b]) => a !== b)
    .map(([a, b]) => ({
      what: 'reorder',
      tamper: (all: AuditRecord[]) => {
        const moved = all.toSpliced(a, 1)
        return moved.toSpliced(b, 0, ...all.slice(a, a + 1))
      },
    })),
  at.map((n) => ({
    what: 'double',
    tamper: (all: AuditRecord[]) => all.toSpliced(n, 0, ...all.slice(n, n + 1)),
  })),
  fc.integer({ min: 0, max: LENGTH - 1 }).map((n) => ({
    what: 'truncate',
    tamper: (all: AuditRecord[]) => all.slice(0, n),
  })),
  at.map((n) => ({
    what: 'insert from elsewhere',
    tamper: (all: AuditRecord[]) => all.toSpliced(n, 0, ...chain(LENGTH, 1).slice(n, n + 1)),
  })),
)

test('a whole trail has no fault, whatever checkpoints it is held against', () => {
  const records = chain(LENGTH)
  const checkpoints = records.map((record) => headOf([record]))
  assert.deepEqual(faultsOf(records, []), [])
  assert.deepEqual(faultsOf(records, checkpoints), [])
  assert.deepEqual(faultsOf([], []), [])
})

test('each edit, removal, move, doubling, insertion and cut is found, with hashes made anew or not', (t) => {
  const whole = chain(LENGTH)
  const checkpoint = headOf(whole)
  const tried = new Map<string, number>()
  fc.assert(
    fc.property(tamperings, fc.boolean(), ({ what, tamper }, isRehashed) => {
      const bent = tamper([...whole])
      const told = isRehashed ? rehashed(bent) : bent
      // A changed hash alone, made anew, is the trail that was there.
      fc.pre(JSON.stringify(told) !== JSON.stringify(whole))
      const name = `${what}${isRehashed ? ', rehashed' : ''}`
      tried.set(name, (tried.get(name) ?? 0) + 1)
      assert.ok(faultsOf(told, [checkpoint]).length > 0, name)
    }),
    { numRuns: TAMPERINGS },
  )
  t.diagnostic(`${TAMPERINGS} tamperings: ${JSON.stringify([...tried])}`)
})

test('all but a cut end, or hashes made anew, is found without a checkpoint', () => {
  const whole = chain(LENGTH)
  fc.assert(
    fc.property(tamperings, ({ what, tamper }) => {
      fc.pre(what !== 'truncate')
      const bent = tamper([...whole])
      fc.pre(JSON.stringify(bent) !== JSON.stringify(whole.slice(0, bent.length)))
      assert.ok(faultsOf(bent, []).length > 0)
    }),
    { numRuns: 2_000 },
  )
})

test('the fault names the record, and two histories are told from one', () => {
  const whole = chain(LENGTH)
  const edited = whole.map((record) => (record.number === 11 ? { ...record, actor: 'x' } : record))
  assert.deepEqual(
    faultsOf(edited, []).map(({ number }) => number),
    [11],
  )
  assert.match(faultsOf(whole.slice(0, 5), [headOf(whole)])[0]?.fault ?? '', /cut off/)
  const other = { ...headOf(whole), hash: sha256('other') }
  assert.match(faultsOf(whole, [headOf(whole), other])[0]?.fault ?? '', /two checkpoints/)
})

test('what is hashed is canonical JSON', () => {
  for (const record of chain(8)) {
    const { hash: _, ...fields } = record
    assert.equal(auditText(record, 'x'), canonicalJson({ ...fields, previous: 'x' }))
  }
})

test('a long trail is verified quickly', (t) => {
  const records = chain(100_000)
  const verifier = new AuditVerifier(sha256, [headOf(records)])
  // Of a processor: how busy the machine is says nothing of the verifier.
  const started = process.cpuUsage()
  for (const record of records) verifier.take(record)
  const { user, system } = process.cpuUsage(started)
  const seconds = (user + system) / 1e6
  assert.deepEqual(verifier.verdict(), { count: 100_000, last: 199_999, faults: [] })
  t.diagnostic(`${Math.round(100_000 / seconds)} records a second of a processor`)
  assert.ok(seconds < 2, `half of the goal of 100,000 a second, for slower machines: ${seconds} s`)
})
