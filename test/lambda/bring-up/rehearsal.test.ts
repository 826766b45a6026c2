/** The story of a serverless fleet on kernels that behave: the agent as it runs, its own bundle where it enrols by hand. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseIp } from '@lvs-fleet/contract'
import { buildAgent } from '../../../scripts/build.ts'
import { loadAwsPart } from '../../../services/agent/src/aws/aws-part.ts'
import { runCommand } from '../../../services/agent/src/cli/run-command.ts'
import { EXIT, parseConfig } from '../../../services/agent/src/config.ts'
import { AgentError } from '../../../services/agent/src/ports.ts'
import { createLog, systemClock } from '../../../services/agent/src/system.ts'
import { createFakeKernel, type FakeKernel } from '../../fakes/fake-kernel.ts'
import { findHost, twoSites } from '../../lab/topology.ts'
import { HOST_CREDENTIALS, type ControlPlane } from './control-plane.ts'
import { COPY_PLACE, tellStory, type Command, type Ground, type RunningAgent } from './story.ts'

const LOOK_MS = 20
/** Of those that every kernel has, the ones that the states of this fleet set. */
const SYSCTLS = [
  'net.ipv4.conf.eth0.accept_local',
  'net.ipv4.conf.all.arp_ignore',
  'net.ipv4.conf.all.arp_announce',
  'net.ipv4.conf.all.rp_filter',
  'net.ipv4.conf.default.rp_filter',
  'net.ipv4.vs.conn_reuse_mode',
]
const VIPS: Readonly<Record<string, string>> = {
  'dir-a': 'tcp/10.1.0.100:80',
  'dir-b': 'tcp/10.2.0.100:80',
  [COPY_PLACE]: 'tcp/10.2.0.100:80',
}

async function openRehearsal({ gate }: ControlPlane): Promise<Ground> {
  const folder = await mkdtemp(join(tmpdir(), 'lvsfleet-rehearsal-'))
  await symlink(new URL('../../../node_modules', import.meta.url), join(folder, 'node_modules'))
  const bundle = await buildAgent(folder)
  const env = {
    LVSFLEET_API: gate.url,
    LVSFLEET_METRICS: 'off',
    AWS_REGION: 'eu-central-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ENDPOINT_URL_SSM: gate.url,
    AWS_ACCESS_KEY_ID: HOST_CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: HOST_CREDENTIALS.secretAccessKey,
    AWS_SESSION_TOKEN: HOST_CREDENTIALS.sessionToken,
  }
  // Where the SDK looks for an agent that runs in this process.
  Object.assign(process.env, env)
  const kernels = new Map<string, FakeKernel>()
  const kernelOf = (place: string): FakeKernel => {
    const found = kernels.get(place) ?? kernelWithAddresses(place)
    kernels.set(place, found)
    return found
  }
  const pathOf = (name: string) => join(folder, 'agents', name)
  const serves = (place: string): boolean => kernelOf(place).usable(VIPS[place] ?? '') > 0

  return {
    async run(place, command) {
      await mkdir(pathOf(command.folder), { recursive: true })
      const words = [...command.words, '--state-dir', pathOf(command.folder)]
      if (command.words[0] !== 'run') return runBundle(bundle, words, { ...env, ...command.env })
      return runHere(kernelOf(place), { ...command, words }, env)
    },
    read: (name, file) => readFile(join(pathOf(name), file), 'utf8'),
    write: (name, file, text) => writeFile(join(pathOf(name), file), text),
    async copy(from, to) {
      await cp(pathOf(from), pathOf(to), { recursive: true })
      // On another machine the lock's boot and process would be nobody's.
      await rm(join(pathOf(to), 'lock'), { force: true })
    },
    table: async (place) => kernelOf(place).describe(),
    async traffic() {
      const failures: string[] = []
      let served = 0
      const timer = setInterval(() => {
        for (const place of ['dir-a', 'dir-b']) {
          if (serves(place)) served++
          else failures.push(place)
        }
      }, LOOK_MS)
      return {
        stop: async () => {
          clearInterval(timer)
          return { served, failures }
        },
      }
    },
    serves: async (place) => assert.ok(serves(place), `${place} has no destination`),
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

function runHere(
  kernel: FakeKernel,
  { words, env = {} }: Command,
  given: Readonly<Record<string, string>>,
): RunningAgent {
  const stop = new AbortController()
  const lines: string[] = []
  const log = createLog('plain', (line) => lines.push(line))
  const done = runCommand(parseConfig([...words, '--self-checks', 'off'], { ...given, ...env }), {
    clock: systemClock,
    random: Math.random,
    log,
    print: (text) => lines.push(text),
    openKernel: async () => kernel,
    aws: loadAwsPart,
    signal: stop.signal,
  })
  const ended = done.catch((error: unknown) => {
    lines.push(String(error))
    return error instanceof AgentError ? error.exitCode : EXIT.failure
  })
  return {
    output: () => lines.join(''),
    ended,
    stop: async () => {
      stop.abort()
      await ended
    },
  }
}

function runBundle(
  bundle: string,
  words: readonly string[],
  env: Readonly<Record<string, string>>,
): RunningAgent {
  let output = ''
  const path = process.env['PATH'] ?? ''
  const args = [bundle, ...words]
  const ended = new Promise<number>((resolve) => {
    execFile(process.execPath, args, { env: { PATH: path, ...env } }, (error, out, err) => {
      output = out + err
      resolve(error === null ? 0 : Number(error.code))
    })
  })
  return { output: () => output, ended, stop: async () => void (await ended) }
}

/** A host holds its own addresses; the copy of a disk has those of the original. */
function kernelWithAddresses(place: string): FakeKernel {
  const kernel = createFakeKernel({ scope: `boot/${place}` })
  const { v4, v6 } = findHost(twoSites, place === COPY_PLACE ? 'dir-b' : place)
  for (const key of SYSCTLS) kernel.sysctls.set(key, '0')
  const linkIndex = kernel.links.get('eth0')?.index ?? 0
  for (const [text, prefixLength] of [
    [v4, 24],
    [v6, 64],
  ] as const) {
    const address = parseIp(text)
    assert.ok(address)
    kernel.addresses.push({ address, prefixLength, linkIndex, deprecated: false })
  }
  return kernel
}

tellStory('a serverless fleet on kernels that behave', { open: openRehearsal, patienceMs: 20_000 })
