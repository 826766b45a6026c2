// A booted guest seen from the host: its process, and the channel once its daemon has greeted.
// When the guest ends, for whatever reason, everything that waits for it fails with its last words.
import * as fs from 'node:fs'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { Channel, type ChannelStream } from '../channel/channel.ts'
import { GREETING } from '../channel/frame.ts'
import type { BootOptions, Engine, Guest } from '../engine/engine.ts'
import { PacedWire } from './paced-wire.ts'
import { join } from '../guest/relay.ts'

const CONSOLE_LINES = 25
const KILL_TIMEOUT_MS = 10_000
const SILENCE_MS = 30_000
const SILENT = `said nothing for ${SILENCE_MS} ms while booting`
const ATTEMPTS_MAX = 3

export type GuestLink = {
  readonly channel: Channel
  readonly pid: number | undefined
  /** Ends the guest as a power cut does, and waits until it is gone. */
  kill(): Promise<void>
}

export type LinkHandlers = {
  readonly event: (name: string, args: unknown) => void
  /** Port of the API on the host's loopback, now; undefined = dead. */
  readonly apiPort: () => number | undefined
}

/**
 * Boots until the daemon answers. An emulated CPU now and then hangs for good in early boot (seen once
 * in some sixty boots): a guest that says nothing for long is ended and started once more.
 */
export async function bootGuest(
  engine: Engine,
  options: BootOptions,
  handlers: LinkHandlers,
): Promise<GuestLink> {
  for (let attempt = 1; ; attempt++) {
    const result = await tryBoot(engine, options, handlers)
    if (typeof result !== 'string') return result
    if (result !== SILENT || attempt === ATTEMPTS_MAX) {
      throw new Error(obituary(engine, result, options.consoleFile))
    }
    fs.appendFileSync(options.consoleFile, `--- ${result}: booting once more\n`)
  }
}

/** The link, or why there is none. */
async function tryBoot(
  engine: Engine,
  options: BootOptions,
  handlers: LinkHandlers,
): Promise<GuestLink | string> {
  const guest = engine.boot(options)
  const { promise: ended, resolve: end } = Promise.withResolvers<string>()
  guest.process.once('error', (error) => end(`cannot start: ${error.message}`))
  guest.process.once('exit', (code, signal) => end(`ended with ${signal ?? code}`))
  const stop = new AbortController()
  const late = sleep(engine.bootTimeoutMs, `was not up within ${engine.bootTimeoutMs} ms`, {
    signal: stop.signal,
  })
  const fallenSilent = silence(options.consoleFile, stop.signal)
  late.catch(() => undefined) // aborted below, as a rule
  const up = await Promise.race([greeting(guest), ended, late, fallenSilent])
  stop.abort()
  if (typeof up !== 'string') return linkTo(guest, ended, up, engine, options, handlers)
  await kill(guest, ended)
  return up
}

/** Settles when the console has not grown for SILENCE_MS; boot has milestones that print a line. */
async function silence(consoleFile: string, stop: AbortSignal): Promise<string> {
  let size = -1
  let since = Date.now()
  while (!stop.aborted) {
    const now = fs.statSync(consoleFile).size
    if (now !== size) since = Date.now()
    size = now
    if (Date.now() - since > SILENCE_MS) return SILENT
    await sleep(250)
  }
  return SILENT
}

function linkTo(
  guest: Guest,
  ended: Promise<string>,
  { wire, rest }: Greeted,
  engine: Engine,
  options: BootOptions,
  handlers: LinkHandlers,
): GuestLink {
  const line = { send: (bytes: Buffer) => void wire.write(bytes), close: () => wire.destroy() }
  const paced = new PacedWire(line, engine.channelWindow ?? Infinity)
  const channel = new Channel(engine.channelWindow ? paced : line, {
    event: handlers.event,
    connection: (stream) => dialApi(stream, handlers.apiPort()),
    lineRead: (count) => paced.read(count),
  })
  channel.receive(rest)
  wire.on('data', (bytes: Buffer) => channel.receive(bytes))
  void ended.then((reason) => channel.fail(obituary(engine, reason, options.consoleFile)))
  return { channel, pid: guest.process.pid, kill: () => kill(guest, ended) }
}

type Greeted = { readonly wire: Duplex; readonly rest: Buffer }

/** Waits for the daemon; drops what the line says before it. `rest` came right after the greeting. */
function greeting(guest: Guest): Promise<Greeted> {
  const { wire } = guest
  wire.on('error', () => undefined) // the guest's exit tells the same, with its console
  return new Promise((resolve) => {
    let before = Buffer.alloc(0)
    const search = (chunk: Buffer) => {
      before = Buffer.concat([before, chunk])
      const at = before.indexOf(GREETING)
      if (at < 0) return
      wire.off('data', search)
      resolve({ wire, rest: before.subarray(at + GREETING.length) })
    }
    wire.on('data', search)
  })
}

function dialApi(stream: ChannelStream, port: number | undefined): void {
  if (port === undefined) return void stream.destroy()
  join(connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true }), stream)
}

async function kill(guest: Guest, ended: Promise<string>): Promise<void> {
  if (guest.process.exitCode !== null || guest.process.signalCode !== null) return
  guest.process.kill('SIGKILL')
  await Promise.race([ended, sleep(KILL_TIMEOUT_MS, undefined, { ref: false })])
}

function obituary(engine: Engine, reason: string, consoleFile: string): string {
  const console = fs.existsSync(consoleFile) ? fs.readFileSync(consoleFile, 'utf8') : ''
  const last = console.trimEnd().split('\n').slice(-CONSOLE_LINES).join('\n')
  return `lab guest (${engine.name}) ${reason}; its console (${consoleFile}) ends with:\n${last}`
}
