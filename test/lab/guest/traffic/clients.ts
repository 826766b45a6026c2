// The clients' programs, for all namespaces in one process: bursts of requests, continuous load at a
// rate, connections held open, and UDP. All answer with histograms of who answered.
import { createSocket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import type {
  GetRequest,
  Histogram,
  HoldStatus,
  LoadRequest,
  LoadSnapshot,
  UdpRequest,
} from '../../protocol.ts'
import { serveHelper } from '../helper.ts'
import { inNamespace } from '../namespace.ts'
import { exchange, openSocket, parseTarget, requestBytes } from './exchange.ts'

const OUTSTANDING_MAX = 500
const ALIVE_WITHIN_MS = 1000

const loads = new Map<number, Load>()
const holds = new Map<number, Hold>()

serveHelper((op, args) => {
  switch (op) {
    case 'get':
      return get(args as GetRequest)
    case 'udp':
      return udp(args as UdpRequest)
    case 'load':
      return startLoad(args as LoadRequest)
    case 'loadSnapshot':
      return known(loads, args).snapshot()
    case 'loadStop':
      return known(loads, args).stop()
    case 'hold':
      return startHold(args as { id: number; client: string; url: string; src?: string })
    case 'holdStatus':
      return known(holds, args).status()
    case 'holdClose':
      return known(holds, args).close()
    default:
      throw new Error(`traffic clients know no request ${op}`)
  }
})

async function get(request: GetRequest): Promise<Histogram> {
  const target = parseTarget(request.url)
  const histogram: Histogram = {}
  let left = request.n
  const worker = async () => {
    while (left-- > 0) count(histogram, await exchange({ ...request, target }))
  }
  await Promise.all(Array.from({ length: Math.min(request.par, request.n) }, worker))
  return histogram
}

/** A new socket, so a new source port, per datagram: each is scheduled anew. */
async function udp(request: UdpRequest): Promise<Histogram> {
  const histogram: Histogram = {}
  for (let i = 0; i < request.n; i++) count(histogram, await udpExchange(request))
  return histogram
}

function udpExchange(request: UdpRequest): Promise<string> {
  const { client, address, port, timeoutMs, src, message = '?' } = request
  const v6 = isIPv6(address)
  const any = v6 ? '::' : '0.0.0.0'
  return new Promise((resolve) => {
    const socket = inNamespace(client, () => {
      const lookup = (name: string, _options: object, done: LookupDone) => done(null, name, 0)
      const made = createSocket({ type: v6 ? 'udp6' : 'udp4', lookup })
      made.bind(0, src ?? any)
      return made
    })
    const finish = (outcome: string) => {
      clearTimeout(timer)
      socket.close()
      resolve(outcome)
    }
    const timer = setTimeout(() => finish('TIMEOUT'), timeoutMs)
    socket.on('message', (answer) => finish(answer.toString()))
    socket.on('error', (error: NodeJS.ErrnoException) => finish(`ERR ${error.code}`))
    // Connected, so that an ICMP error about the datagram is heard.
    socket.connect(port, address, () => socket.send(message))
  })
}

type LookupDone = (error: Error | null, address: string, family: number) => void

class Load {
  private answers: Histogram = {}
  private errors: Histogram = {}
  private outstanding = 0
  private readonly timer: NodeJS.Timeout

  constructor({ client, url, ratePerSecond, timeoutMs }: LoadRequest) {
    const target = parseTarget(url)
    const begin = performance.now()
    let sent = 0
    const due = () => ((performance.now() - begin) / 1000) * ratePerSecond
    this.timer = setInterval(() => {
      for (; sent < due(); sent++) void this.one({ client, target, timeoutMs })
    }, 10)
  }

  snapshot(): LoadSnapshot {
    const { answers, errors } = this
    this.answers = {}
    this.errors = {}
    return { answers, errors }
  }

  /** Waits for the requests under way, which have their own deadline. */
  async stop(): Promise<LoadSnapshot> {
    clearInterval(this.timer)
    while (this.outstanding > 0) await new Promise((resolve) => setTimeout(resolve, 10))
    return this.snapshot()
  }

  private async one(request: Parameters<typeof exchange>[0]): Promise<void> {
    if (this.outstanding >= OUTSTANDING_MAX) return count(this.errors, 'ERR OVERLOAD')
    this.outstanding++
    const outcome = await exchange(request)
    this.outstanding--
    count(outcome.startsWith('ERR') || outcome === 'TIMEOUT' ? this.errors : this.answers, outcome)
  }
}

function startLoad(request: LoadRequest): void {
  loads.set(request.id, new Load(request))
}

class Hold {
  private readonly socket
  private bytes = 0
  private line = ''
  private lastMs = performance.now()
  private error: string | undefined

  constructor({ client, url, src }: { client: string; url: string; src?: string }) {
    const target = parseTarget(url)
    this.socket = openSocket(client, target, src)
    this.socket.on('data', (chunk: Buffer) => {
      if (this.line.length < 1000) this.line += chunk.toString('latin1')
      this.bytes += chunk.length
      this.lastMs = performance.now()
    })
    this.socket.on('end', () => (this.error ??= 'ENDED'))
    this.socket.on('error', (error: NodeJS.ErrnoException) => (this.error ??= error.code ?? 'ERR'))
    this.socket.write(requestBytes(target))
  }

  status(): HoldStatus {
    const idleMs = Math.round(performance.now() - this.lastMs)
    const body = this.line.slice(this.line.indexOf('\r\n\r\n') + 4)
    const answerer = body.includes('\n') ? body.slice(0, body.indexOf('\n')) : ''
    const alive = !this.error && this.bytes > 0 && idleMs < ALIVE_WITHIN_MS
    return { alive, answerer, bytes: this.bytes, idleMs, error: this.error }
  }

  close(): void {
    this.socket.destroy()
  }
}

/** Answers when the first byte came, or after a second without one: `status` tells which. */
async function startHold(request: { id: number; client: string; url: string; src?: string }) {
  const hold = new Hold(request)
  holds.set(request.id, hold)
  const deadline = performance.now() + ALIVE_WITHIN_MS
  while (!hold.status().answerer && !hold.status().error && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return hold.status()
}

function known<T>(map: ReadonlyMap<number, T>, args: unknown): T {
  const found = map.get((args as { id: number }).id)
  if (!found) throw new Error('the lab client was started before the guest was rebooted')
  return found
}

function count(histogram: Histogram, key: string): void {
  histogram[key] = (histogram[key] ?? 0) + 1
}
