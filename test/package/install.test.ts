/**
 * install.sh against a folder that stands for a machine (machine.ts) and packages in a directory or behind https: what is damaged,
 * foreign or for another machine changes nothing, and a second run changes nothing either.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { VERSION } from '@lvs-fleet/contract'
import { buildAgent } from '../../scripts/build.ts'
import { packageAgent, writeChecksums } from '../../scripts/package/agent-package.ts'
import type { Arch } from '../../scripts/package/elf.ts'
import { findNatives } from '../../scripts/package/natives.ts'
import { makeMachine, program, type Machine, type Ran } from './machine.ts'

const SCRIPT = fileURLToPath(new URL('../../scripts/package/install.sh', import.meta.url))
const arch: Arch = process.arch === 'arm64' ? 'arm64' : 'amd64'
const NEXT = '0.2.0'
const url = 'http://127.0.0.1:9'

let folder = ''
/** With one package, and with two. */
const place = { one: '', two: '' }
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lvsfleet-install-test-'))
  const bundle = await buildAgent(join(folder, 'bundle'))
  const pack = (version: string, outdir: string) => {
    const compression = ['none', 0] as const
    const options = { version, arch, bundle, outdir, epoch: 1_767_225_600, compression }
    return packageAgent({ ...options, withoutNode: true })
  }
  place.one = join(folder, 'one')
  place.two = join(folder, 'two')
  writeChecksums([pack(VERSION, place.one)], place.one)
  writeChecksums([pack(VERSION, place.two), pack(NEXT, place.two)], place.two)
})
after(() => rm(folder, { recursive: true, force: true }))

const deb = `lvsfleet-agent_${VERSION}_${arch}.deb`
let machine: Machine
beforeEach(async () => {
  machine = await makeMachine()
  await mkdir(machine.at('usr/lib/lvsfleet'), { recursive: true })
  await symlink(`${findNatives(arch).node}/bin/node`, machine.at('usr/lib/lvsfleet/node'))
  // The script asks; dpkg itself takes anybody, with --force-not-root.
  await program(join(machine.bin, 'id'), 'echo 0')
})
afterEach(() => machine.close())

const install = (...args: string[]): Promise<Ran> => machine.run(['sh', SCRIPT, ...args])
const settings = () => machine.read('etc/lvsfleet/agent.env')
const isInstalled = () => existsSync(machine.at('usr/bin/lvsfleet-agent'))

/** A copy of the place with one thing wrong. */
async function spoilt(spoil: (at: string) => Promise<void>): Promise<string> {
  const at = await mkdtemp(join(folder, 'spoilt-'))
  for (const name of [deb, 'SHA256SUMS'])
    await writeFile(join(at, name), await readFile(join(place.one, name)))
  await spoil(at)
  return at
}

describe('nothing is changed', () => {
  const refusals: readonly [
    what: string,
    args: (at: string) => string[],
    spoil: (at: string) => Promise<void>,
    why: RegExp,
  ][] = [
    [
      'by a package that was cut short',
      (at) => ['--from', at],
      async (at) => writeFile(join(at, deb), (await readFile(join(at, deb))).subarray(0, 99_999)),
      /has SHA-256 [0-9a-f]{64}, not [0-9a-f]{64}.*nothing was changed/,
    ],
    [
      'by a package with another content',
      (at) => ['--from', at],
      async (at) => {
        const bytes = await readFile(join(at, deb))
        bytes[bytes.length - 100] = (bytes[bytes.length - 100] ?? 0) ^ 1
        await writeFile(join(at, deb), bytes)
      },
      /nothing was changed/,
    ],
    [
      'where SHA256SUMS is not what was pinned',
      (at) => ['--from', at, '--sha256', 'a'.repeat(64)],
      async () => {},
      /--sha256 says a{64}: nothing was changed/,
    ],
    [
      'where only another machine has a package',
      (at) => ['--from', at],
      async (at) => {
        const other = arch === 'amd64' ? 'arm64' : 'amd64'
        const text = await readFile(join(at, 'SHA256SUMS'), 'utf8')
        await writeFile(join(at, 'SHA256SUMS'), text.replace(`_${arch}.`, `_${other}.`))
      },
      /names no package for (amd64|arm64)/,
    ],
    [
      'by a package that is another than its name says, whatever its sum',
      (at) => ['--from', at],
      async (at) => {
        const renamed = `lvsfleet-agent_9.9.9_${arch}.deb`
        await writeFile(join(at, renamed), await readFile(join(at, deb)))
        const text = await readFile(join(at, 'SHA256SUMS'), 'utf8')
        await writeFile(join(at, 'SHA256SUMS'), text.replace(deb, renamed))
      },
      /is not what its name says/,
    ],
    [
      'without SHA256SUMS',
      (at) => ['--from', at],
      (at) => rm(join(at, 'SHA256SUMS')),
      /there is no .*SHA256SUMS/,
    ],
    ['over plain http', () => ['--from', 'http://packages.example'], async () => {}, /only https/],
    [
      'for a control plane over plain http',
      (at) => ['--from', at, '--controller-url', 'http://fleet.example'],
      async () => {},
      /must begin with https/,
    ],
    [
      'by an option that is misspelt',
      (at) => ['--from', at, '--nmae', 'x'],
      async () => {},
      /unknown option --nmae/,
    ],
    ['without a place', () => [], async () => {}, /--from is missing/],
    [
      'by a value of two lines, which would be two settings',
      (at) => ['--from', at, '--name', 'a\nLVSFLEET_API=x'],
      async () => {},
      /a value has one line/,
    ],
    [
      'without the token that was named',
      (at) => ['--from', at, '--token-file', '/no/such'],
      async () => {},
      /cannot read \/no\/such/,
    ],
  ]
  for (const [what, args, spoil, why] of refusals) {
    test(what, async () => {
      const ran = await install(...args(await spoilt(spoil)))
      assert.equal(ran.code, 1, ran.out)
      assert.match(ran.err, why)
      assert.equal(isInstalled(), false)
    })
  }

  test('by somebody who is not root, on a machine without systemd, or of another kind', async () => {
    const args = ['--from', place.one]
    await program(join(machine.bin, 'id'), 'echo 1000')
    assert.match((await install(...args)).err, /must run as root/)
    await program(join(machine.bin, 'id'), 'echo 0')
    await program(join(machine.bin, 'dpkg'), 'echo riscv64')
    assert.match((await install(...args)).err, /no package for riscv64/)
    await rm(machine.at('run/systemd'), { recursive: true })
    assert.match((await install(...args)).err, /does not run systemd/)
    assert.equal(isInstalled(), false)
  })
})

test('--help shows examples and needs nothing', async () => {
  const { code, out } = await install('--help')
  assert.equal(code, 0)
  assert.match(out, /Examples\n {2}sh install\.sh --from https:/)
})

test('installs, writes what is given into the settings, and starts; a second run changes nothing', async () => {
  const token = join(folder, 'token')
  await writeFile(token, 'lvsj_secret\n')
  const args = [
    '--from',
    place.one,
    '--controller-url',
    url,
    '--role',
    'director',
    '--name',
    'dir-a',
    '--token-file',
    token,
  ]
  const first = await install(...args)
  assert.equal(first.code, 0, first.err)
  assert.match(first.out, /runs with new settings/)
  const text = await settings()
  assert.match(text, /^LVSFLEET_API=http:\/\/127\.0\.0\.1:9$/m)
  assert.match(text, /^LVSFLEET_HOST_ROLE=director$/m)
  assert.match(text, /^LVSFLEET_HOST_NAME=dir-a$/m)
  assert.match(text, /^#LVSFLEET_METRICS=/m)
  assert.doesNotMatch(text, /lvsj_secret/)
  const copy = statSync(machine.at('etc/lvsfleet/join-token'))
  assert.equal(copy.mode & 0o777, 0o640)
  assert.equal(statSync(machine.at('etc/lvsfleet/agent.env')).mode & 0o777, 0o640)
  assert.ok(existsSync(machine.at('run/lvsfleet-agent.service.pid')))

  const again = await install(...args)
  assert.equal(again.code, 0, again.err)
  assert.match(again.out, new RegExp(`${VERSION.replaceAll('.', '\\.')} is installed already`))
  assert.equal(await settings(), text)
})

test('upgrades, and leaves what an operator set', async () => {
  assert.equal((await install('--from', place.one, '--controller-url', url)).code, 0)
  const mine = `${(await settings()).replace('#LVSFLEET_METRICS=127.0.0.1:9614', 'LVSFLEET_METRICS=off')}# mine\n`
  await writeFile(machine.at('etc/lvsfleet/agent.env'), mine)
  const which = await install('--from', place.two)
  assert.equal(which.code, 1)
  assert.match(which.err, /say which with --version/)
  const next = await install('--from', place.two, '--version', NEXT)
  assert.equal(next.code, 0, next.err)
  assert.equal(await settings(), mine)
  assert.match(await machine.read('var/lib/dpkg/status'), new RegExp(`^Version: ${NEXT}$`, 'm'))
})

test('starts nothing where it is told so', async () => {
  const ran = await install('--from', place.one, '--controller-url', url, '--no-start')
  assert.equal(ran.code, 0, ran.err)
  assert.ok(!existsSync(machine.at('run/lvsfleet-agent.service.pid')))
})

describe('from https', () => {
  let server: Server
  let at = ''
  before(async () => {
    const key = join(folder, 'tls.key')
    const cert = join(folder, 'tls.crt')
    const made = spawnSync('openssl', [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      '-days',
      '1',
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost,IP:127.0.0.1',
    ])
    assert.equal(made.status, 0, String(made.stderr))
    server = createServer(
      { key: await readFile(key), cert: await readFile(cert) },
      (request, response) => {
        const path = request.url ?? ''
        if (path.startsWith('/moved/')) {
          response.writeHead(302, { location: `http://127.0.0.1:9${path}` }).end()
          return
        }
        void readFile(join(place.one, path.slice(path.lastIndexOf('/') + 1))).then(
          (bytes) => {
            // The connection ends in the middle of the package.
            const isCut = path.startsWith('/cut/') && path.endsWith('.deb')
            response.writeHead(200, { 'content-length': bytes.length })
            if (!isCut) return response.end(bytes)
            return response.write(bytes.subarray(0, 65_536), () => response.destroy())
          },
          () => response.writeHead(404).end(),
        )
      },
    )
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const address = server.address()
    at = `https://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  })
  after(() => server.close())

  const trusting = (...args: string[]) =>
    machine.run(['sh', SCRIPT, ...args], { CURL_CA_BUNDLE: join(folder, 'tls.crt') })

  test('gets, checks and installs', async () => {
    const ran = await trusting('--from', `${at}/`, '--no-start')
    assert.equal(ran.code, 0, ran.err)
    assert.ok(isInstalled())
  })

  const refusals: readonly [what: string, path: string, trusts: boolean][] = [
    ['a server that nobody vouches for', '/', false],
    ['a connection that breaks off', '/cut', true],
    ['a way that leads to plain http', '/moved', true],
  ]
  for (const [what, path, trusts] of refusals) {
    test(`refuses ${what}`, async () => {
      const ran = await (trusts ? trusting : install)('--from', `${at}${path}`)
      assert.equal(ran.code, 1)
      assert.match(ran.err, /cannot get https/)
      assert.equal(isInstalled(), false)
    })
  }
})
