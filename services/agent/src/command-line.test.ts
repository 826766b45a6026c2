import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { parseCommandLine, parsePlainly } from './command-line.ts'

const OPTIONS = {
  once: { type: 'boolean' },
  'state-dir': { type: 'string' },
  only: { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h' },
} as const

const word = fc.oneof(
  fc.constantFrom(
    'run',
    'apply',
    '--once',
    '--state-dir',
    '--only',
    '--help',
    '-h',
    '--',
    '-',
    '',
    '--no-once',
  ),
  fc.constantFrom(
    '--state-dir=/x',
    '--once=1',
    '--other',
    '--toString',
    '--__proto__',
    '-x',
    '/tmp',
    '1',
    ' --once',
  ),
  fc.string({ maxLength: 4 }),
)

const outcome = (work: () => { values: object; positionals: readonly string[] }): unknown => {
  try {
    const { values, positionals } = work()
    return { values: { ...values }, positionals }
  } catch (error) {
    return error instanceof Error ? error.message : error
  }
}

test('says what parseArgs says, of any words', () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (args) => {
      assert.deepEqual(
        outcome(() => parseCommandLine(args, OPTIONS)),
        outcome(() => parseArgs({ args, options: OPTIONS, allowPositionals: true })),
      )
    }),
    { numRuns: 5_000 },
  )
})

test('what a unit starts needs no parseArgs', () => {
  assert.deepEqual(parsePlainly(['run', '--once', '--state-dir', '/var/lib/x'], OPTIONS), {
    values: { once: true, 'state-dir': '/var/lib/x' },
    positionals: ['run'],
  })
})
