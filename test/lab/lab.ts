// The kernel lab: a real Linux kernel with ip_vs as an ordinary process, driven from the host.
// `startLab` boots a guest, builds the topology in it and gives a `Lab`; tests run on the host at full
// speed, only commands, traffic and the system under test run in the guest. See README.md.
import * as fs from 'node:fs'
import { fileURLToPath } from 'node:url'
import { bundleGuest } from './host/bundle-guest.ts'
import { lockLab, type Lock } from './host/lock.ts'
import { bootGuest, type GuestLink } from './host/guest-link.ts'
import { Process } from './host/process.ts'
import { makeRunFolder, type RunFolder } from './host/run-folder.ts'
import { setupLab } from './host/setup.ts'
import { Capture, type CaptureOptions } from './host/capture.ts'
import { Hold, Load } from './host/traffic.ts'
import { type Engine, ENGINE_NAMES, type EngineName } from './engine/engine.ts'
import { qemu, qemu612 } from './engine/qemu.ts'
import { uml } from './engine/uml.ts'
import type {
  ExitEvent,
  GetRequest,
  Histogram,
  HoldStatus,
  OutputEvent,
  RunResult,
  UdpRequest,
} from './protocol.ts'
import { API, linkPeer, planTopology, type Topology, twoSites } from './topology.ts'

const REPO = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
const ENGINES: Readonly<Record<EngineName, Engine>> = {
  qemu,
  'qemu-6.12': qemu612,
  uml,
}
const GUEST_DIR = '/lab-out'
const RUN_TIMEOUT_MS = 30_000
const SHORT_TIMEOUT_MS = 30_000
/** What the channel may add to the time limit that the guest keeps itself. */
const GRACE_MS = 15_000

export type LabOptions = {
  /** Default: LAB_ENGINE, else qemu. */
  readonly engine?: EngineName | undefined
  readonly topology?: Topology | undefined
  /** Port on the host's loopback that hosts reach as http://192.0.2.1:8080. */
  readonly apiPort?: number | undefined
  readonly memoryMb?: number | undefined
  readonly log?: ((text: string) => void) | undefined
}
export type RunOptions = {
  readonly timeoutMs?: number | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly stdin?: string | undefined
}
export type SpawnOptions = {
  readonly name: string
  readonly env?: Readonly<Record<string, string>> | undefined
}
type Command = string | readonly string[]

export function engineName(name: string | undefined = process.env['LAB_ENGINE']): EngineName {
  if (name === undefined || name === '') return 'qemu'
  const known = ENGINE_NAMES.find((engine) => engine === name)
  if (known !== undefined) return known
  throw new Error(`there is no lab engine ${name}: use ${ENGINE_NAMES.join(' or ')}`)
}

export async function startLab(options: LabOptions = {}): Promise<Lab> {
  const engine = ENGINES[options.engine ?? engineName()]
  const log = options.log ?? ((text: string) => console.error(`lab: ${text}`))
  // Everything below .lab changes under the lock only: another lab may be booting from it.
  const lock = await lockLab(`${REPO}/.lab`, log)
  try {
    await setupLab(REPO, engine.name)
    await bundleGuest(REPO)
  } catch (error) {
    await lock.release()
    throw error
  }
  const lab = new Lab(engine, options, lock, makeRunFolder(`${REPO}/.lab`))
  try {
    await lab.boot()
  } catch (error) {
    await lab.stop()
    throw error
  }
  return lab
}

export class Lab implements AsyncDisposable {
  readonly engine: EngineName
  readonly topology: Topology
  /** Host folder that the guest has, writable, as `guestDir`; outlives reboots. */
  readonly dir: string
  readonly guestDir = GUEST_DIR
  /** Folder of this run: console.log and the logs of its processes. */
  readonly runDir: string
  /** Where the hosts find the API: http://192.0.2.1:8080. */
  readonly apiUrl: string = API.url
  /** User-Mode Linux has no nftables for IP: rules of `table ip` and `table ip6` need qemu. */
  readonly hasNftables: boolean
  private readonly machine: Engine
  private readonly folder: RunFolder
  private readonly lock: Lock
  private readonly memoryMb: number
  private readonly processes = new Map<number, Process>()
  private apiPort: number | undefined
  private link: GuestLink | undefined
  private nextId = 1

  /** For startLab only. */
  constructor(engine: Engine, options: LabOptions, lock: Lock, folder: RunFolder) {
    this.engine = engine.name
    this.machine = engine
    this.hasNftables = engine.name !== 'uml'
    this.topology = options.topology ?? twoSites
    this.apiPort = options.apiPort
    this.memoryMb = options.memoryMb ?? 2048
    this.lock = lock
    this.folder = folder
    this.dir = folder.out
    this.runDir = folder.path
  }

  /** Process id, on the host, of the engine. */
  get guestPid(): number | undefined {
    return this.link?.pid
  }

  // ---- commands

  /** Runs a command to its end in the namespace of `host` ('root' = the guest's own). */
  async run(host: string, command: Command, options: RunOptions = {}): Promise<RunResult> {
    const timeoutMs = options.timeoutMs ?? RUN_TIMEOUT_MS
    const args = { host, command, timeoutMs, env: options.env, stdin: options.stdin }
    return (await this.request('run', args, timeoutMs + GRACE_MS)) as RunResult
  }

  /** Like run, but an exit status other than 0 is an error; returns stdout. */
  async sh(host: string, command: Command, options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(host, command, options)
    if (code === 0) return stdout
    const text = typeof command === 'string' ? command : command.join(' ')
    throw new Error(`${host}: exit status ${code} from: ${text}\n${stdout}${stderr}`)
  }

  /** Starts a long-running command; see Process. */
  async spawn(host: string, command: Command, { name, env }: SpawnOptions): Promise<Process> {
    const id = this.nextId++
    const process = new Process(name, this.folder.logFile(name), (signal, group) =>
      this.request('kill', { id, signal, group }),
    )
    this.processes.set(id, process)
    try {
      const { pid } = (await this.request('spawn', { id, host, command, env })) as { pid: number }
      process.pid = pid
    } catch (error) {
      this.processes.delete(id)
      throw error
    }
    return process
  }

  async readFile(path: string): Promise<string> {
    return (await this.request('readFile', { path })) as string
  }

  async writeFile(path: string, content: string, mode = 0o644): Promise<void> {
    await this.request('writeFile', { path, content, mode })
  }

  /** The IPVS table as `ipvsadm -Sn` prints it, sorted, since its order says nothing. */
  async ipvsadm(host: string): Promise<string[]> {
    const text = await this.sh(host, ['ipvsadm', '-Sn'])
    return text
      .split('\n')
      .map((line) => line.trimEnd())
      .filter(Boolean)
      .sort()
  }

  // ---- traffic

  /** HTTP servers on both families; each answers `NAME:PORT from=CLIENT-ADDRESS`. */
  async serve(host: string, { ports }: { ports: readonly number[] }): Promise<void> {
    await this.request('serve', { host, ports })
  }

  /** A UDP server; behind DR or TUN it must bind the VIP, which must be configured already. */
  async serveUdp(host: string, { port, bind }: { port: number; bind?: string }): Promise<void> {
    await this.request('serveUdp', { host, port, bind })
  }

  /** The same HTTP over SCTP, on one address; behind DR or TUN that is the VIP, which must be configured already. */
  async serveSctp(host: string, { port, bind }: { port: number; bind: string }): Promise<void> {
    await this.request('serveSctp', { host, port, bind })
  }

  /** Stops all servers of the host and resets their connections, as a crash of the program does. */
  async unserve(host: string): Promise<void> {
    await this.request('unserve', { host })
  }

  /** Requests on a new connection each; who answered how often. */
  async get(
    client: string,
    options: Omit<Partial<GetRequest>, 'client' | 'url'> & { readonly url: string },
  ): Promise<Histogram> {
    const { url, n = 1, par = 4, timeoutMs = 1000, upload, src, protocol } = options
    const limit = Math.ceil(n / Math.min(par, n)) * timeoutMs + GRACE_MS
    const args = { client, url, n, par, timeoutMs, upload, src, protocol }
    return (await this.request('get', args, limit)) as Histogram
  }

  async udp(
    client: string,
    options: Pick<UdpRequest, 'address' | 'port' | 'src' | 'message'> & {
      n?: number
      timeoutMs?: number
    },
  ): Promise<Histogram> {
    const { address, port, n = 1, timeoutMs = 1000, src, message } = options
    const args = { client, address, port, n, timeoutMs, src, message }
    return (await this.request('udp', args, n * timeoutMs + GRACE_MS)) as Histogram
  }

  /** Continuous traffic, a new connection per request, until stopped. */
  async load(
    client: string,
    options: { url: string; ratePerSecond: number; timeoutMs?: number },
  ): Promise<Load> {
    const id = this.nextId++
    const { url, ratePerSecond, timeoutMs = 1000 } = options
    await this.request('load', { id, client, url, ratePerSecond, timeoutMs })
    return new Load((op) => this.request(op, { id }, timeoutMs + GRACE_MS))
  }

  /** One connection to /hold that stays open and says whether it still carries data: a byte each 200 ms, or `everyMs`. */
  async hold(
    client: string,
    options: { url: string; src?: string; everyMs?: number },
  ): Promise<Hold> {
    const id = this.nextId++
    const { everyMs } = options
    const url = new URL(everyMs === undefined ? '/hold' : `/hold=${everyMs}`, options.url).href
    const first = await this.request('hold', { id, client, url, src: options.src })
    return new Hold((op) => this.request(op, { id }), first as HoldStatus)
  }

  /** Echo requests one after the other; how many came back. */
  async ping(host: string, address: string, { count = 1, timeoutMs = 1000 } = {}): Promise<number> {
    const wait = Math.max(1, Math.ceil(timeoutMs / 1000))
    const ping = address.includes(':') ? 'ping6' : 'ping'
    const command = ['busybox', ping, '-c', `${count}`, '-W', `${wait}`, address]
    const limit = count * (wait * 1000 + 1000) + GRACE_MS
    const { stdout } = await this.run(host, command, { timeoutMs: limit })
    return Number(/(\d+) packets received/.exec(stdout)?.[1] ?? 0)
  }

  /** Records packets with tcpdump; returns when it really listens. */
  capture(host: string, options: CaptureOptions): Promise<Capture> {
    return Capture.start(this, host, options)
  }

  // ---- faults

  /** Pulls the cable: the interface loses its carrier, its addresses and routes stay. */
  async cutLink(host: string, iface = 'eth0'): Promise<void> {
    const peer = linkPeer(this.topology, host, iface)
    await this.sh(peer.host, ['ip', 'link', 'set', peer.iface, 'down'])
  }

  async restoreLink(host: string, iface = 'eth0'): Promise<void> {
    const peer = linkPeer(this.topology, host, iface)
    await this.sh(peer.host, ['ip', 'link', 'set', peer.iface, 'up'])
  }

  /** Delay, loss and so on for what the host sends, in tc-netem's words; '' takes it off again. */
  async netem(host: string, rule: string, iface = 'eth0'): Promise<void> {
    if (rule === '') await this.run(host, `tc qdisc del dev ${iface} root`)
    else await this.sh(host, `tc qdisc replace dev ${iface} root netem ${rule}`)
  }

  // ---- the API of the test

  /** Points the hosts' API address at another port of the host's loopback; undefined = refused. */
  async setApiPort(port: number | undefined): Promise<void> {
    this.apiPort = port
    await this.request('relay', { ...API, open: port !== undefined })
  }

  // ---- life

  /** A power cut: the kernel's state is lost, `dir` stays. Start servers and programs again. */
  async reboot(): Promise<void> {
    await this.powerOff()
    await this.boot()
  }

  async stop(): Promise<void> {
    if (this.link) await this.run('root', 'sync', { timeoutMs: 5000 }).catch(() => undefined)
    await this.powerOff()
    await this.lock.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** For startLab only. */
  async boot(): Promise<void> {
    const { consoleFile, out: outDir } = this.folder
    const options = { repo: REPO, outDir, consoleFile, memoryMb: this.memoryMb }
    fs.appendFileSync(consoleFile, `--- boot ${new Date().toISOString()} ${this.engine}\n`)
    this.link = await bootGuest(this.machine, options, {
      event: (name, args) => this.onEvent(name, args),
      apiPort: () => this.apiPort,
    })
    await this.request('topology', planTopology(this.topology), this.machine.bootTimeoutMs)
    await this.setApiPort(this.apiPort)
  }

  private async powerOff(): Promise<void> {
    await this.link?.kill()
    this.link = undefined
    for (const process of this.processes.values()) process.onExit({ code: null, signal: 'SIGKILL' })
    this.processes.clear()
  }

  private request(op: string, args: unknown, timeoutMs = SHORT_TIMEOUT_MS): Promise<unknown> {
    if (!this.link) return Promise.reject(new Error(`${op}: the lab is stopped`))
    return this.link.channel.request(op, args, timeoutMs)
  }

  private onEvent(name: string, args: unknown): void {
    const { id } = args as { id: number }
    if (name === 'output') this.processes.get(id)?.onOutput(args as OutputEvent)
    if (name === 'exit') {
      this.processes.get(id)?.onExit(args as ExitEvent)
      this.processes.delete(id)
    }
  }
}
