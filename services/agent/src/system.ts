/** The real ports: clocks, log lines on stderr, facts about this host. */
import { release } from 'node:os'
import { parseIp, VERSION, type Ip } from '@lvs-fleet/contract'
import { readIfThere } from './disk/read-if-there.ts'
import type { Clock, Log } from './ports.ts'
import type { HostFacts } from './report.ts'

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  // CLOCK_MONOTONIC on Linux: since boot, one value for all processes.
  monotonicMs: () => Number(process.hrtime.bigint() / 1_000_000n),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve()
      const done = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal?.addEventListener('abort', done, { once: true })
    }),
}

/** One line per entry: JSON for machines, or plain text. */
export function createLog(format: 'json' | 'plain', write: (line: string) => void): Log {
  return (level, message, fields = {}) => {
    if (format === 'json') {
      write(`${JSON.stringify({ at: new Date().toISOString(), level, message, ...fields })}\n`)
      return
    }
    const rest = Object.entries(fields).map(
      ([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    )
    write(`${level === 'info' ? '' : `${level}: `}${message}${rest.join('')}\n`)
  }
}

export function readHostFacts(): HostFacts {
  const bootId = readIfThere('/proc/sys/kernel/random/boot_id') ?? 'unknown'
  return { bootId: bootId.trim(), kernelVersion: release(), agentVersion: VERSION }
}

/**
 * The address that this host has towards the control plane, as its route says; no packet is sent. Empty when that is
 * this same machine or cannot be found out.
 */
export async function addressTowards(host: string): Promise<Ip[]> {
  const { createSocket } = process.getBuiltinModule('node:dgram')
  const { lookup } = process.getBuiltinModule('node:dns').promises
  const found = await lookup(host.replaceAll(/[[\]]/g, '')).catch(() => undefined)
  if (found === undefined) return []
  const socket = createSocket(found.family === 6 ? 'udp6' : 'udp4')
  try {
    const text = await new Promise<string>((resolve) => {
      socket.once('error', () => resolve(''))
      socket.connect(9, found.address, () => resolve(socket.address().address))
    })
    const address = parseIp(text)
    return address === undefined || address === '::1' || address.startsWith('127.') ? [] : [address]
  } finally {
    socket.close()
  }
}

/** Tells machines apart that were cloned from one image; evidence, not proof. */
export function readMachineId(): string {
  const id = readIfThere('/etc/machine-id') ?? ''
  return id.trim() === '' ? 'unknown' : id.trim().slice(0, 128)
}
