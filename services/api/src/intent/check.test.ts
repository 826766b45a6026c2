import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkSchema, statusRanges } from './check.ts'

const HTTP = { kind: 'http' } as const

describe('a check', () => {
  it('has defaults that suit most', () => {
    const check = checkSchema.parse(HTTP)
    assert.deepEqual(
      [check.intervalMs, check.timeoutMs, check.rise, check.fall, check.jitterPercent],
      [5_000, 2_000, 2, 3, 10],
    )
    assert.equal(check.kind === 'http' && check.path, '/')
    assert.deepEqual(check.damping, { downsMax: 3, windowMs: 300_000, holdMs: 60_000 })
  })

  /** Each names the field that is wrong. */
  const REFUSED: readonly { readonly check: object; readonly at: string }[] = [
    { check: { kind: 'ping' }, at: 'kind' },
    { check: { ...HTTP, intervalMs: 99 }, at: 'intervalMs' },
    { check: { ...HTTP, intervalMs: 1_000, timeoutMs: 1_001 }, at: 'timeoutMs' },
    { check: { ...HTTP, downIntervalMs: 500 }, at: 'timeoutMs' },
    { check: { ...HTTP, rise: 0 }, at: 'rise' },
    { check: { ...HTTP, retries: 3 }, at: '' },
    { check: { ...HTTP, path: 'health' }, at: 'path' },
    { check: { ...HTTP, path: '/a b' }, at: 'path' },
    { check: { ...HTTP, host: 'a\r\nx: y' }, at: 'host' },
    { check: { ...HTTP, statuses: [] }, at: 'statuses' },
    { check: { ...HTTP, statuses: ['300-200'] }, at: 'statuses.0' },
    { check: { ...HTTP, bodyMatches: '(' }, at: 'bodyMatches' },
    { check: { ...HTTP, method: 'HEAD', bodyContains: 'ok' }, at: 'bodyContains' },
    { check: { ...HTTP, method: 'HEAD', bodyMatches: 'ok' }, at: 'bodyMatches' },
    { check: { kind: 'https', tls: { keyFile: '/k.pem' } }, at: 'tls' },
    { check: { kind: 'https', tls: { caFile: 'ca.pem' } }, at: 'tls.caFile' },
    { check: { kind: 'icmp', port: 7 }, at: 'port' },
    { check: { kind: 'dns' }, at: 'name' },
    { check: { kind: 'dns', name: 'a..b' }, at: 'name' },
    { check: { kind: 'dns', name: 'x', rcode: 'NXDOMAIN', answer: '10.0.0.1' }, at: 'answer' },
    { check: { kind: 'udp', send: { hex: 'abc' } }, at: 'send' },
    { check: { kind: 'udp', replyRequired: false, expect: { text: 'x' } }, at: 'expect' },
    { check: { kind: 'script', path: 'queue' }, at: 'path' },
    { check: { kind: 'script', path: '/checks/../bin/sh' }, at: 'path' },
    { check: { kind: 'script', path: '/checks/a', args: ['a\0b'] }, at: 'args.0' },
  ]
  for (const { check, at } of REFUSED) {
    it(`is refused at ${at || 'the whole'}: ${JSON.stringify(check)}`, () => {
      const result = checkSchema.safeParse(check)
      assert.equal(result.success, false)
      const paths = result.error?.issues.map(({ path }) => path.join('.')) ?? []
      assert.ok(
        paths.some((path) => path === at || path.startsWith(`${at}.`)),
        `complains at ${paths.join(', ')}`,
      )
    })
  }

  it('says which statuses there are', () => {
    for (const status of ['300-200', '999-1', 'ok', 99, 600]) {
      const { error } = checkSchema.safeParse({ ...HTTP, statuses: [status] })
      assert.match(
        error?.issues[0]?.message ?? '',
        /status from 100 to 599|>=100|<=599/,
        `${status}`,
      )
    }
  })

  it('sorts statuses into ranges', () => {
    assert.deepEqual(statusRanges(['300-399', 200]), [
      { from: 200, to: 200 },
      { from: 300, to: 399 },
    ])
  })
})
