/**
 * Runs in the guest: a socket that listens to address changes gets far more of them than its receive
 * buffer holds, while the event loop is blocked. `node overrun.ts bare` uses the package as it is,
 * `cured` our monitor. Prints `survived N calls` if it lives to do so.
 */
import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { RawNetlinkSocket } from 'netlink/dist/raw.js'
import { NetworkMonitor } from '../../../../services/agent/src/kernel/rtnl/network-monitor.ts'
import {
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_LINK,
} from '../../../../services/agent/src/kernel/rtnl/constants.ts'

const TINY_BYTES = 4096
const ADDRESSES = 300

let calls = 0
if (process.argv[2] === 'bare') {
  const raw = new RawNetlinkSocket(0, { recvBufferSize: TINY_BYTES, sendBufferSize: 0 })
  raw.addMembership(RTNLGRP_LINK)
  raw.addMembership(RTNLGRP_IPV4_IFADDR)
  raw.on('message', () => calls++)
  // Neither of these sees what comes.
  raw.on('error', () => console.log('an error that can be handled'))
  process.on('uncaughtException', () => console.log('an exception that can be caught'))
} else {
  const monitor = new NetworkMonitor({ ownPort: () => -1, receiveBufferBytes: TINY_BYTES })
  monitor.subscribe(() => calls++)
}

// Synchronous: nobody reads the socket meanwhile.
const input = Array.from(
  { length: ADDRESSES },
  (_, i) => `addr add 10.77.${i >> 8}.${i & 255}/32 dev lo`,
)
execFileSync('ip', ['-batch', '-'], { input: input.join('\n') })
await sleep(500)
execFileSync('ip', ['addr', 'add', '10.78.0.1/32', 'dev', 'lo'])
await sleep(500)
console.log(`survived ${calls} calls`)
process.exit(0)
