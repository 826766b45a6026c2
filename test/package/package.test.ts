/**
 * The agent's package on a folder that stands for a machine: real dpkg, the package's real scripts, the agent that ships,
 * as a process, against a real API. There is no IPVS here; that an upgrade writes nothing to a kernel is shown in
 * test/flow/agent-upgrade.test.ts, and under traffic in test/lab/fleet/upgrade.thorough.ts.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  lstatSync,
  readdirSync,
  renameSync,
  statSync,
} from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { VERSION } from '@lvs-fleet/contract'
import { AGENT_NODE_FLAGS, buildAgent } from '../../scripts/build.ts'
import { packageAgent } from '../../scripts/package/agent-package.ts'
import { archOfElf, type Arch } from '../../scripts/package/elf.ts'
import { checkIntegrity, findNatives, NPM_ARCH } from '../../scripts/package/natives.ts'
import { packageTree } from '../../scripts/package/package-tree.ts'
import { startTestApi, type TestApi } from '../api/harness.ts'
import { eventually } from '../lab/fleet/eventually.ts'
import { isRunning, makeMachine, type Machine } from './machine.ts'

const arch: Arch = process.arch === 'arm64' ? 'arm64' : 'amd64'
const NEXT = '0.2.0'
const EPOCH = 1_767_225_600
/** Of systemd-analyze security, in tenths; 0 = nothing exposed, 100 = root without a sandbox has 96. */
const SCORES_MAX = { 'lvsfleet-agent.service': 17, 'lvsfleet-agent-probe.service': 13 } as const

let folder = ''
let bundle = ''
/** `whole` is what ships; `now` and `next` are the same without Node, which the machine has already. */
const debs = { whole: '', now: '', next: '' }
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lvsfleet-package-test-'))
  chmodSync(folder, 0o755)
  bundle = await buildAgent(join(folder, 'now'))
  const next = await buildAgent(join(folder, 'next'), NEXT)
  debs.whole = pack(VERSION, bundle, 'whole', false)
  debs.now = pack(VERSION, bundle, 'packages')
  debs.next = pack(NEXT, next, 'packages')
})
after(() => rm(folder, { recursive: true, force: true }))

/** Not compressed, because that takes most of the time and changes nothing else. */
function pack(version: string, from: string, outdir: string, withoutNode = true): string {
  const compression = ['none', 0] as const
  const options = { version, arch, bundle: from, epoch: EPOCH, compression, withoutNode }
  return packageAgent({ ...options, outdir: join(folder, outdir) })
}

function tool(command: string, ...args: string[]): string {
  const done = spawnSync(command, args, { encoding: 'utf8' })
  assert.equal(done.status, 0, `${command} ${args.join(' ')}: ${done.stdout}${done.stderr}`)
  return done.stdout
}

describe('the package', () => {
  test('is the same bytes when it is built again, compressed as it ships', async () => {
    const [first, second] = await Promise.all(
      ['first', 'second'].map(async (name) => {
        const from = await buildAgent(join(folder, name))
        const options = { version: VERSION, arch, bundle: from, epoch: EPOCH, withoutNode: true }
        const outdir = join(folder, name)
        return readFile(packageAgent({ ...options, outdir, compression: ['xz', 3] }))
      }),
    )
    assert.ok(first !== undefined && second !== undefined && first.equals(second))
  })

  test('has what it says, owned by root, settings readable by root alone', () => {
    const lines = tool('dpkg-deb', '-c', debs.whole).trim().split('\n')
    assert.deepEqual(
      lines.filter((line) => !line.includes(' root/root ')),
      [],
    )
    const modes = new Map(
      lines.map((line) => [line.split(/\s+/)[5]?.slice(1) ?? '', line.slice(0, 10)]),
    )
    assert.equal(modes.get('/etc/lvsfleet/agent.env'), '-rw-r-----')
    assert.equal(modes.get('/usr/bin/lvsfleet-agent'), '-rwxr-xr-x')
    assert.equal(modes.get('/usr/lib/lvsfleet/node'), '-rwxr-xr-x')
    const writable = [...modes].filter(([, mode]) => mode[5] === 'w' || mode[8] === 'w')
    assert.deepEqual(writable, [])
    const wanted = packageTree({ version: VERSION, arch, bundle, natives: findNatives(arch) })
    for (const { path } of wanted) assert.ok(modes.has(path), path)
    assert.equal(
      tool('dpkg-deb', '-f', debs.whole, 'Package', 'Version', 'Architecture').trim(),
      `Package: lvsfleet-agent\nVersion: ${VERSION}\nArchitecture: ${arch}`,
    )
  })

  test("carries no other machine's code: it is not built where one binary is for another", () => {
    const other: Arch = arch === 'amd64' ? 'arm64' : 'amd64'
    const prebuilt = globSync('node_modules/netlink/prebuilds/linux-{x64,arm64}/*.node').toSorted()
    assert.deepEqual(
      prebuilt.map((path) => archOfElf(readBytes(path))),
      ['arm64', 'amd64'],
    )
    // This machine's netlink and koffi where the other's belong.
    const options = { version: VERSION, arch: other, bundle, epoch: EPOCH } as const
    const natives = { ...findNatives(arch), koffi: koffiUnder(other) }
    assert.throws(
      () =>
        packageAgent({ ...options, compression: ['none', 0], outdir: join(folder, 'x'), natives }),
      /node is for (amd64|arm64), not for (amd64|arm64)/,
    )
  })

  test("takes no other bytes for another machine than the lock file's", () => {
    const bytes = Buffer.from('a package')
    const sri =
      'sha512-' +
      'YkuiLGIXSPGyc8ge4bt0ILlfHoVhmp8uBsn/zZiuPWPSJmrcfC6GWKlWYMGL4eMOPMBcZQDxu5sgkLGuVDGdPQ=='
    assert.throws(() => checkIntegrity(bytes, sri, 'node'), /node is not what package-lock\.json/)
  })

  test('installs nothing that has to be compiled, and shell scripts that sh can read', async () => {
    for (const name of ['postinst', 'prerm', 'postrm', 'lvsfleet-agent', '../install.sh'])
      tool('sh', '-n', new URL(`../../scripts/package/files/${name}`, import.meta.url).pathname)
  })
})

/** This machine's package of koffi, its files named as the other's. */
function koffiUnder(other: Arch): string {
  const path = join(folder, 'koffi')
  const [own, wanted] = [arch, other].map((name) => `linux_${NPM_ARCH[name]}`)
  cpSync(findNatives(arch).koffi, path, { recursive: true })
  renameSync(join(path, String(own)), join(path, String(wanted)))
  return path
}

function readBytes(path: string): Uint8Array {
  const done = spawnSync('head', ['-c', '64', path])
  return done.stdout
}

describe('the unit', () => {
  let unpacked = ''
  const units = ['lvsfleet-agent.service', 'lvsfleet-agent-probe.service'] as const
  before(async () => {
    unpacked = join(folder, 'unpacked')
    tool('dpkg-deb', '-x', debs.whole, unpacked)
  })

  for (const unit of units) {
    test(`${unit} exposes no more than ${SCORES_MAX[unit] / 10} of 10`, () => {
      const path = join(unpacked, 'lib/systemd/system', unit)
      const args = ['security', '--offline=true', `--threshold=${SCORES_MAX[unit]}`, path]
      assert.match(tool('systemd-analyze', ...args), /Overall exposure level.*OK/)
    })
  }

  test('is understood by systemd, with no word that it does not know', () => {
    const paths = units.map((unit) => join(unpacked, 'lib/systemd/system', unit))
    const done = spawnSync('systemd-analyze', ['verify', '--man=no', ...paths], {
      encoding: 'utf8',
    })
    const complaints = `${done.stdout}${done.stderr}`
      .split('\n')
      .filter((line) => line.includes('lvsfleet'))
      // The programs are in the package, not on this machine.
      .filter((line) => !/is not executable: No such file/.test(line))
    assert.deepEqual(complaints, [])
  })

  test('has one capability, and can get no other', async () => {
    for (const unit of units) {
      const text = await readFile(join(unpacked, 'lib/systemd/system', unit), 'utf8')
      assert.deepEqual(
        text
          .split('\n')
          .filter((line) => /Capabilit|NoNewPriv|^User/.test(line) && !line.startsWith('#')),
        [
          'User=lvsfleet-agent',
          'AmbientCapabilities=CAP_NET_ADMIN',
          'CapabilityBoundingSet=CAP_NET_ADMIN',
          'NoNewPrivileges=yes',
        ],
      )
    }
  })

  test('the program runs with nothing but what the package has', () => {
    const node = join(unpacked, 'usr/lib/lvsfleet/node')
    const agent = join(unpacked, 'usr/lib/lvsfleet/agent/lvsfleet-agent.mjs')
    assert.equal(tool(node, agent, '--version'), `${VERSION}\n`)
    // Native parts too: a namespace that is nobody's is probed, by a user with one capability.
    if (process.getuid?.() !== 0) return
    const probe = [
      'unshare',
      '--net',
      'setpriv',
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      '--inh-caps=-all,+net_admin',
      '--ambient-caps=-all,+net_admin',
      '--bounding-set=-all,+net_admin',
      '--no-new-privs',
      node,
      agent,
      'probe-kernel',
    ]
    const [program = '', ...args] = probe
    assert.match(tool(program, ...args), /^\{"kernelRelease":/)
  })

  test('starts the agent with the flags that it is measured with', async () => {
    const text = await readFile(join(unpacked, 'lib/systemd/system', units[0]), 'utf8')
    assert.ok(text.includes(`/usr/lib/lvsfleet/node ${AGENT_NODE_FLAGS.join(' ')} /usr/lib`))
  })
})

describe('on a machine', () => {
  let api: TestApi
  let machine: Machine
  before(async () => {
    api = await startTestApi()
    const fleet = {
      sites: { 'site-a': { networks: [{ name: 'lan', cidrs: ['10.1.0.0/24'] }] } },
      directors: { 'dir-a': { site: 'site-a', addresses: ['10.1.0.10'] } },
    }
    assert.equal((await api.call('PUT', '/v1/fleet', fleet)).status, 200)
    machine = await makeMachine()
    await mkdir(machine.at('usr/lib/lvsfleet'), { recursive: true })
    await symlink(`${findNatives(arch).node}/bin/node`, machine.at('usr/lib/lvsfleet/node'))
  })
  after(async () => {
    await machine.close()
    await api.close()
  })

  const state = 'var/lib/lvsfleet-agent'
  const reported = async () => (await api.call('GET', '/v1/hosts/director/dir-a')).body
  const pid = async () => Number(await machine.read('run/lvsfleet-agent.service.pid'))
  const told = async (version: string) =>
    eventually(async () => assert.equal((await reported()).report?.agentVersion, version))

  test('a first installation waits for its settings, enabled and with a place for its state', async () => {
    const done = await machine.dpkg('-i', debs.now)
    assert.equal(done.code, 0, done.err)
    assert.match(done.out, /set LVSFLEET_API in \/etc\/lvsfleet\/agent\.env/)
    assert.ok(!existsSync(machine.at('run/lvsfleet-agent.service.pid')))
    assert.ok(
      lstatSync(
        machine.at('etc/systemd/system/multi-user.target.wants/lvsfleet-agent.service'),
      ).isSymbolicLink(),
    )
    assert.equal(statSync(machine.at(state)).mode & 0o777, 0o700)
    const [, , uid, gid] =
      /^lvsfleet-agent:.*$/m.exec(await machine.read('etc/passwd'))?.[0].split(':') ?? []
    const { uid: owner, gid: group } = statSync(machine.at(state))
    if (process.getuid?.() === 0) assert.deepEqual([owner, group], [Number(uid), Number(gid)])
    assert.equal((await machine.dpkg('-V', 'lvsfleet-agent')).out, '')
  })

  test('an upgrade takes over identity, state and settings, and tells its version', async () => {
    const made = await api.call('POST', '/v1/join-tokens', {
      role: 'director',
      site: 'site-a',
      name: 'dir-a',
    })
    const settings = `# mine\nLVSFLEET_API=${api.url}\nLVSFLEET_TOKEN=${made.body.token}\nLVSFLEET_SELF_CHECKS=off\n`
    await writeFile(machine.at('etc/lvsfleet/agent.env'), settings)
    await machine.run(['systemctl', 'start', 'lvsfleet-agent.service'])
    await told(VERSION)
    const before = {
      pid: await pid(),
      host: (await reported()).enrolment,
      key: await machine.read(`${state}/key.json`),
      identity: await machine.read(`${state}/identity.json`),
      applied: (await reported()).applied,
    }

    const done = await machine.dpkg('-i', debs.next)
    assert.equal(done.code, 0, done.err)
    await told(NEXT)
    assert.notEqual(await pid(), before.pid)
    assert.equal(await isRunning(before.pid), false)
    assert.deepEqual((await reported()).enrolment, before.host)
    assert.deepEqual((await reported()).applied, before.applied)
    assert.equal(await machine.read(`${state}/key.json`), before.key)
    assert.equal(await machine.read(`${state}/identity.json`), before.identity)
    assert.equal(await machine.read('etc/lvsfleet/agent.env'), settings)
    const log = await machine.read('run/lvsfleet-agent.service.log')
    assert.equal(log.match(/ enrolled|^enrolled/gm)?.length, 1, log)
  })

  test('the agent runs on while files are replaced, and through an upgrade that fails', async () => {
    const was = await pid()
    const broken = join(folder, 'broken.deb')
    await writeFile(broken, (await readFile(debs.now)).subarray(0, 100_000))
    assert.notEqual((await machine.dpkg('-i', broken)).code, 0)
    assert.equal(await pid(), was)
    assert.ok(await isRunning(was))
  })

  test('a step back works as a step forward does', async () => {
    const done = await machine.dpkg('-i', debs.now)
    assert.equal(done.code, 0, done.err)
    await told(VERSION)
  })

  test('an operator who disabled it finds it disabled after an upgrade', async () => {
    await machine.run(['systemctl', 'disable', 'lvsfleet-agent.service'])
    assert.equal((await machine.dpkg('-i', debs.next)).code, 0)
    assert.deepEqual(readdirSync(machine.at('etc/systemd/system/multi-user.target.wants')), [])
  })

  test('removing stops the agent and keeps settings and state; purging forgets them', async () => {
    const was = await pid()
    assert.equal((await machine.dpkg('-r', 'lvsfleet-agent')).code, 0)
    assert.equal(await isRunning(was), false)
    assert.ok(existsSync(machine.at(`${state}/identity.json`)))
    assert.match(await machine.read('etc/lvsfleet/agent.env'), /^# mine/)
    assert.ok(!existsSync(machine.at('usr/lib/lvsfleet/agent')))
    assert.equal((await machine.dpkg('-P', 'lvsfleet-agent')).code, 0)
    assert.ok(!existsSync(machine.at(state)))
    assert.ok(!existsSync(machine.at('etc/lvsfleet')))
  })
})

test('no script of the package has a word for IPVS tables, nor stops or flushes what forwards', async () => {
  for (const name of ['postinst', 'prerm', 'postrm']) {
    const path = new URL(`../../scripts/package/files/${name}`, import.meta.url)
    const code = (await readFile(path, 'utf8')).replaceAll(/^\s*#.*$/gm, '')
    assert.doesNotMatch(code, /ipvsadm|\bip (addr|link|route)|\bnft\b|rmmod|modprobe -r/)
  }
})
