/**
 * A systemctl for a folder that stands for a machine, as maintainer scripts call it: reads the unit files that are there,
 * makes the links of [Install], starts ExecStart with the unit's environment and stops it by SIGTERM, then SIGKILL.
 * The folder is DPKG_ROOT; users, sandboxing and dependencies are not its affair. What it does not know is an error.
 */
import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const root = process.env['DPKG_ROOT'] ?? ''
if (root === '') throw new Error('this is no systemctl for a real machine')
const words = process.argv.slice(2).filter((word) => word !== `--root=${root}`)
const [verb = '', unit = ''] = words

switch (verb) {
  case 'daemon-reload':
    break
  case 'enable': {
    const path = join(root, 'etc/systemd/system', `${wantedBy()}.wants`, unit)
    mkdirSync(dirname(path), { recursive: true })
    if (!existsSync(path)) symlinkSync(`/lib/systemd/system/${unit}`, path)
    break
  }
  case 'disable':
    for (const target of ['multi-user.target'])
      rmSync(join(root, 'etc/systemd/system', `${target}.wants`, unit), { force: true })
    break
  case 'start':
    if (runningPid() === undefined) start()
    break
  case 'stop':
    await stop()
    break
  case 'restart':
    await stop()
    start()
    break
  case 'try-restart':
    if (runningPid() === undefined) break
    await stop()
    start()
    break
  default:
    throw new Error(`systemctl ${words.join(' ')}: not known here`)
}

function settings(name: string): string[] {
  const text = readFileSync(join(root, 'lib/systemd/system', unit), 'utf8')
  return [...text.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map((match) => match[1] ?? '')
}

function wantedBy(): string {
  const [target] = settings('WantedBy')
  if (target === undefined) throw new Error(`${unit} has no [Install]`)
  return target
}

function pidFile(): string {
  return join(root, 'run', `${unit}.pid`)
}

function runningPid(): number | undefined {
  if (!existsSync(pidFile())) return undefined
  const pid = Number(readFileSync(pidFile(), 'utf8'))
  return existsSync(`/proc/${pid}`) && !isZombie(pid) ? pid : undefined
}

function isZombie(pid: number): boolean {
  return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
}

function start(): void {
  const [line = ''] = settings('ExecStart')
  const [program = '', ...args] = line
    .split(' ')
    .map((word) => (word.startsWith('/') ? join(root, word) : word))
  const [stateDirectory = ''] = settings('StateDirectory')
  const log = openSync(join(root, 'run', `${unit}.log`), 'a')
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', log, log],
    env: {
      PATH: '/usr/bin:/bin:/usr/sbin:/sbin',
      ...environmentFile(),
      LVSFLEET_STATE_DIR: join(root, 'var/lib', stateDirectory),
      LVSFLEET_METRICS: 'off',
    },
  })
  writeFileSync(pidFile(), String(child.pid))
  child.unref()
}

function environmentFile(): Record<string, string> {
  const path = join(root, settings('EnvironmentFile')[0]?.replace(/^-/, '') ?? '')
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : []
  return Object.fromEntries(
    lines
      .map((line) => /^([A-Z_]+)=(.*)$/.exec(line))
      .filter((match) => match !== null)
      .map(([, name = '', value = '']) => [name, value]),
  )
}

async function stop(): Promise<void> {
  const pid = runningPid()
  if (pid === undefined) return
  process.kill(pid, 'SIGTERM')
  const seconds = Number(settings('TimeoutStopSec')[0]?.replace('s', '') ?? 90)
  for (const until = Date.now() + seconds * 1_000; Date.now() < until; await sleep(20)) {
    if (runningPid() === undefined) return rmSync(pidFile())
  }
  process.kill(pid, 'SIGKILL')
  throw new Error(`${unit} did not stop within ${seconds} s`)
}
