/**
 * The controller of a lab fleet: the API as its own process on the host's loopback, with embedded Postgres,
 * started as `npm start` starts it, so that tests can kill it and start it again.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../../services/api/src/main.ts', import.meta.url))
const START_TIMEOUT_MS = 60_000

export type HostCondition = {
  readonly status: boolean
  readonly message: string
  /** Ms since the epoch; 0 when there was no report. */
  readonly reportedAt: number
}

export class Controller {
  readonly dataDir: string
  readonly port: number
  private child: ChildProcess | undefined
  private log = ''

  private constructor(dataDir: string, port: number) {
    this.dataDir = dataDir
    this.port = port
  }

  static async start(dataDir: string): Promise<Controller> {
    const controller = new Controller(dataDir, await freePort())
    await controller.start()
    return controller
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.child?.pid ?? 0
  }

  /** Starts (again) on the same data and port; returns when it is ready. */
  async start(): Promise<void> {
    // Always its own embedded database, whatever the shell has set.
    const { DATABASE_URL: _, ...env } = process.env
    const child = spawn(process.execPath, [MAIN], {
      env: { ...env, LVSFLEET_LISTEN: `127.0.0.1:${this.port}`, LVSFLEET_DATA: this.dataDir },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const keep = (chunk: Buffer) => {
      this.log = (this.log + chunk.toString()).slice(-20_000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    this.child = child
    const deadline = Date.now() + START_TIMEOUT_MS
    while (!(await this.isReady())) {
      if (child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the controller did not start:\n${this.log}`)
      }
      await sleep(50)
    }
  }

  /** SIGKILL: a crash. */
  async kill(): Promise<void> {
    await this.end('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.end('SIGTERM')
    rmSync(this.dataDir, { recursive: true, force: true })
  }

  /** The last of what it printed. */
  output(): string {
    return this.log
  }

  async call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await this.request(method, path, body)
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }

  request(method: string, path: string, body?: unknown): Promise<Response> {
    const headers = new Headers({ authorization: `Bearer ${this.key()}` })
    if (body !== undefined) {
      const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
      headers.set('content-type', type)
    }
    return fetch(this.url + path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    })
  }

  /** What the host's status says of `type`, and when its last report came. */
  async condition(
    role: 'director' | 'real-server',
    name: string,
    type: string,
  ): Promise<HostCondition> {
    const host = (await this.call('GET', `/v1/hosts/${role}/${name}`)) as {
      reportReceivedAt: string | null
      conditions: { type: string; status: boolean; message: string }[]
    }
    const said = host.conditions.find((condition) => condition.type === type)
    const reportedAt = Date.parse(host.reportReceivedAt ?? '1970-01-01T00:00:00Z')
    return { ...(said ?? { status: false, message: 'unknown' }), reportedAt }
  }

  private key(): string {
    return readFileSync(`${this.dataDir}/admin.key`, 'utf8').trim()
  }

  private async isReady(): Promise<boolean> {
    if (!existsSync(`${this.dataDir}/admin.key`)) return false
    try {
      const answer = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(1000) })
      return answer.ok
    } catch {
      return false
    }
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await Promise.race([ended, sleep(15_000, undefined, { ref: false })])
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
