import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expositionOf } from './exposition.ts'

test('families become lines, and those without samples nothing', () => {
  const text = expositionOf([
    {
      name: 'bytes_total',
      help: 'bytes',
      type: 'counter',
      samples: [
        {
          labels: { name: 'a "b" \\ c\nd', to: '[fd00::1]:80' },
          value: 18_446_744_073_709_551_615n,
        },
        { labels: {}, value: 0.25 },
      ],
    },
    { name: 'nothing', help: 'nothing', type: 'gauge', samples: [] },
  ])
  assert.equal(
    text,
    [
      '# HELP lvsfleet_bytes_total bytes',
      '# TYPE lvsfleet_bytes_total counter',
      'lvsfleet_bytes_total{name="a \\"b\\" \\\\ c\\nd",to="[fd00::1]:80"} 18446744073709551615',
      'lvsfleet_bytes_total 0.25',
      '',
    ].join('\n'),
  )
})
