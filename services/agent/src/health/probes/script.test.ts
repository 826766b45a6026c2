import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { ip } from '@lvs-fleet/contract'
import { plainDialer } from '../dialer.ts'
import type { ProbeResult, ProbeTarget } from '../probe.ts'
import { probeScript } from './script.ts'

const folder = mkdtempSync(join(tmpdir(), 'lvsfleet-scripts-'))
chmodSync(folder, 0o755)
after(() => rmSync(folder, { recursive: true }))

// Probes keep no process alive.
const alive = setInterval(() => {}, 1_000)
after(() => clearInterval(alive))

const ownerUid = process.getuid?.() ?? 0
const rules = { folder, ownerUid }

const to = (timeoutMs = 5_000): ProbeTarget => ({
  address: ip('10.1.0.11'),
  port: 80,
  realServer: 'rs-1',
  timeoutMs,
  dialer: plainDialer,
})

function script(name: string, text: string, mode = 0o755): string {
  const path = join(folder, name)
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, mode)
  return path
}

function inWords(result: ProbeResult): string {
  if (result.is === 'good') return `good ${result.detail}`
  return result.is === 'bad' ? `${result.failure}: ${result.detail}` : result.detail
}

const run = async (path: string, args: string[] = [], timeoutMs?: number, given = rules) =>
  inWords(await probeScript({ kind: 'script', path, args }, to(timeoutMs), given))

describe('script', () => {
  it('exit 0 is good, any other is not, with the first line that it printed', async () => {
    assert.equal(await run(script('good', 'echo fine; echo more')), 'good exit 0: fine')
    assert.equal(await run(script('bad', 'echo no >&2; exit 3')), 'wrong: exit 3: no')
    assert.equal(await run(script('killed', 'kill -9 $$')), 'wrong: exit SIGKILL')
  })

  it('is given the real server and its own arguments, no shell, nothing of the agent', async () => {
    process.env['LVSFLEET_TOKEN'] = 'secret'
    const path = script(
      'env',
      'echo "$LVSFLEET_REAL_SERVER $LVSFLEET_ADDRESS $LVSFLEET_PORT $1" "[$LVSFLEET_TOKEN]" "[$HOME]"',
    )
    assert.equal(await run(path, ['$(id)']), 'good exit 0: rs-1 10.1.0.11 80 $(id) [] []')
    delete process.env['LVSFLEET_TOKEN']
  })

  it('is killed at the timeout with all that it started', async () => {
    const pidFile = join(folder, 'pid')
    const path = script('slow', `sleep 60 & echo $! > ${pidFile}; wait`)
    assert.equal(await run(path, [], 500), 'silent: killed: not done within 500 ms')
    const pid = Number(readFileSync(pidFile, 'utf8'))
    for (let i = 0; i < 100 && isAlive(pid); i++)
      await new Promise((resolve) => setImmediate(resolve))
    assert.equal(isAlive(pid), false)
  })

  it('may print without end', async () => {
    const result = await run(script('loud', 'while :; do echo xxxxxxxxxxxxxxxx; done'), [], 300)
    assert.equal(result, 'silent: killed: not done within 300 ms')
  })

  it('does not run where the host does not allow it: unknown, and never down', async () => {
    const path = script('fine', 'exit 0')
    assert.match(
      await run(path, [], 1_000, { folder: undefined as never, ownerUid }),
      /^cannot run: this host allows no scripts/,
    )
    assert.match(await run('/bin/true'), /^cannot run: \/bin\/true is not in /)
    mkdirSync(join(folder, 'below'))
    assert.match(await run(join(folder, 'below/x')), /^cannot run: .* is not in /)
    assert.match(await run(join(folder, 'none')), /^cannot run: .* is not there/)
    assert.match(await run(join(folder, 'below')), /^cannot run: .* is no plain file/)
    symlinkSync('/bin/true', join(folder, 'link'))
    assert.match(await run(join(folder, 'link')), /^cannot run: .* is no plain file/)
    assert.match(
      await run(script('open', 'exit 0', 0o775)),
      /^cannot run: .* is writable by others/,
    )
    assert.match(await run(script('dead', 'exit 0', 0o644)), /^cannot run: .*EACCES/)
    assert.match(await run(path, [], 1_000, { folder, ownerUid: ownerUid + 1 }), /belongs to user/)
    chmodSync(folder, 0o777)
    assert.match(await run(path), /^cannot run: .* is writable by others/)
    chmodSync(folder, 0o755)
  })
})

/** A zombie of another parent is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
