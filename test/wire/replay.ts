/**
 * A kernel that was recorded: expects the very bytes that were sent then, in the same order, and gives
 * the answers of that time. The port of the recording socket stands in the answers and is not checked.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type {
  DatagramHandlers,
  DatagramSocket,
} from '../../services/agent/src/kernel/netlink/raw-socket.ts'

export function replay(file: URL): {
  readonly open: (handlers: DatagramHandlers) => DatagramSocket
  /** Lines that were not played. */
  readonly left: () => readonly string[]
} {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('>') || line.startsWith('<'))
  return {
    left: () => lines,
    open: (handlers) => ({
      port: 1,
      close: () => undefined,
      send: (bytes, done) => {
        assert.equal(`> ${Buffer.from(bytes).toString('hex')}`, lines.shift())
        done(undefined)
        setImmediate(() => {
          while (lines[0]?.startsWith('<') === true) {
            handlers.message(Buffer.from(lines.shift()?.slice(2) ?? '', 'hex'))
          }
        })
      },
    }),
  }
}
