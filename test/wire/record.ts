/**
 * Records the conversation on the kernel it runs on: `node test/wire/record.ts FOLDER`, in an empty
 * network namespace of a lab guest, after the lines of `prepare`. Writes one .hex file per socket.
 */
import { execSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { release } from 'node:os'
import {
  NETLINK_GENERIC,
  NETLINK_ROUTE,
} from '../../services/agent/src/kernel/netlink/constants.ts'
import { openRawSocket } from '../../services/agent/src/kernel/netlink/raw-socket.ts'
import { NetlinkSocket } from '../../services/agent/src/kernel/netlink/socket.ts'
import { converse, prepare } from './conversation.ts'

const [folder = '.'] = process.argv.slice(2)
for (const line of prepare) execSync(line)

const generic: string[] = []
const route: string[] = []
const result = await converse({
  generic: record(NETLINK_GENERIC, generic),
  route: record(NETLINK_ROUTE, route),
})
save('generic', generic)
save('route', route)
console.dir(result, { depth: 6 })

function record(protocol: number, lines: string[]): NetlinkSocket {
  return new NetlinkSocket({
    protocol,
    open: (handlers, reads) => {
      const raw = openRawSocket(
        { protocol, reads },
        {
          ...handlers,
          message: (bytes) => {
            lines.push(`< ${bytes.toString('hex')}`)
            handlers.message(bytes)
          },
        },
      )
      return {
        port: raw.port,
        close: () => raw.close(),
        send: (bytes, done) => {
          lines.push(`> ${Buffer.from(bytes).toString('hex')}`)
          raw.send(bytes, done)
        },
      }
    },
  })
}

function save(name: string, lines: readonly string[]): void {
  const header = `# netlink ${name}, Linux ${release()}: > sent, < received; see conversation.ts`
  writeFileSync(`${folder}/${name}.hex`, `${[header, ...lines].join('\n')}\n`)
}
