/** Runs in the guest: dials by paths as the JSON on stdin says, and prints what came of each. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { markedSockets } from '../../../../services/agent/src/kernel/path/marked-sockets.ts'
import type { Dial } from '../../../../services/agent/src/kernel/path/path-sockets.ts'

export type Call =
  | { readonly do: 'datagram'; readonly to: Dial; readonly bytes: number }
  /** An HTTP request on a connection of its own; the answer's body. */
  | { readonly do: 'get'; readonly to: Dial }

const TIMEOUT_MS = 700

const calls = JSON.parse(readFileSync(0, 'utf8')) as readonly Call[]
const results: string[] = []
for (const call of calls) {
  results.push(
    call.do === 'datagram'
      ? await markedSockets.sendDatagram(call.to, call.bytes, TIMEOUT_MS)
      : await get(call.to),
  )
}
process.stdout.write(JSON.stringify(results))

async function get(to: Dial): Promise<string> {
  const socket = markedSockets.connect(to)
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('TIMEOUT')))
  let text = ''
  socket.on('data', (chunk) => (text += String(chunk)))
  socket.on('connect', () => socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'))
  try {
    await once(socket, 'close')
    return (text.split('\r\n\r\n').at(1) ?? text).trim()
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}
