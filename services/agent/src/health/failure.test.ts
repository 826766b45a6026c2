import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { HEALTH_DETAIL_MAX } from '@lvs-fleet/contract'
import { bad, resultOfError } from './failure.ts'
import { UnusableFile } from './tls-context.ts'

const coded = (code: string, message = 'text') => Object.assign(new Error(message), { code })

const ROWS: readonly { name: string; error: unknown; heard?: boolean; want: string }[] = [
  { name: 'a refusal', error: coded('ECONNREFUSED'), want: 'refused: connection refused' },
  { name: 'a reset', error: coded('ECONNRESET'), want: 'refused: connection reset' },
  {
    name: 'a reset within an answer',
    error: coded('ECONNRESET'),
    heard: true,
    want: 'wrong: connection reset within the answer',
  },
  { name: 'no neighbour', error: coded('EHOSTUNREACH'), want: 'silent: no route to host' },
  {
    name: 'a certificate',
    error: coded('CERT_HAS_EXPIRED', 'certificate has expired'),
    want: 'wrong: CERT_HAS_EXPIRED: certificate has expired',
  },
  { name: 'no descriptors left', error: coded('EMFILE'), want: 'cannot run: EMFILE' },
  { name: 'no ports left', error: coded('EADDRNOTAVAIL'), want: 'cannot run: EADDRNOTAVAIL' },
  { name: 'a firewall of our own', error: coded('EPERM'), want: 'cannot run: EPERM' },
  {
    name: 'a file',
    error: new UnusableFile('/ca.pem cannot be read', undefined),
    want: 'cannot run: /ca.pem cannot be read',
  },
  {
    name: 'a mistake of ours',
    error: new TypeError('x is no function'),
    want: 'cannot run: x is no function',
  },
  { name: 'an error without a code', error: new Error('odd'), want: 'cannot run: odd' },
  { name: 'what is no error', error: 'odd', want: 'cannot run: odd' },
]

describe('what an error says', () => {
  for (const { name, error, heard, want } of ROWS) {
    it(name, () => {
      const result = resultOfError(error, heard ?? false)
      const failure = result.is === 'bad' ? `${result.failure}: ` : ''
      assert.equal(`${failure}${result.detail}`, want)
    })
  }

  it('text of strangers is cut to one printable line that a report takes', () => {
    const { detail } = bad('wrong', `a\r\nb\u001b[0m${'x'.repeat(1_000)}`)
    assert.match(detail, /^a b \[0mx+$/)
    assert.ok(detail.length <= HEALTH_DETAIL_MAX)
  })
})
