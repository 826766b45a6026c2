// The guest's daemon: does what the tests on the host ask, over the control channel on fd 3.
// It ends, and init.sh switches the guest off, as soon as the host's end is gone.
import * as fs from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Channel } from '../channel/channel.ts'
import { GREETING } from '../channel/frame.ts'
import type { RunRequest, SpawnRequest, TopologyPlan } from '../protocol.ts'
import { buildTopology } from './build-topology.ts'
import { Processes, runCommand } from './command.ts'
import { Helper } from './helper.ts'
import { Relay } from './relay.ts'
import { deviceWire } from './wire.ts'

const CHANNEL_FD = 3
/** The host waits for the line to be read: set by init.sh for a serial line. */
const PACED = process.env['LAB_PACED'] === '1'

// All three are bundled into one folder by host/bundle-guest.ts.
const servers = new Helper(fileURLToPath(new URL('servers.mjs', import.meta.url)))
const clients = new Helper(fileURLToPath(new URL('clients.mjs', import.meta.url)))

const wire = deviceWire(CHANNEL_FD, {
  data: (bytes) => {
    if (PACED) channel.credit(0, bytes.length)
    channel.receive(bytes)
  },
  end: (reason) => {
    console.log(`lab: channel ended: ${reason}`)
    process.exit(0)
  },
})
const channel: Channel = new Channel(wire, { request: answer })
const processes = new Processes((name, event) => channel.event(name, event))
const relay = new Relay(channel)
wire.send(GREETING)
channel.event('ready', {})

function answer(op: string, args: unknown): unknown {
  switch (op) {
    case 'run':
      return runCommand(args as RunRequest)
    case 'spawn':
      return processes.start(args as SpawnRequest)
    case 'kill': {
      const { id, signal, group } = args as { id: number; signal: NodeJS.Signals; group: boolean }
      return processes.kill(id, signal, group)
    }
    case 'topology':
      return build(args as TopologyPlan)
    case 'relay': {
      const { address, port, open } = args as { address: string; port: number; open: boolean }
      return open ? relay.listen(address, port) : relay.close()
    }
    case 'readFile':
      return fs.readFileSync((args as { path: string }).path, 'utf8')
    case 'writeFile': {
      const { path, content, mode } = args as { path: string; content: string; mode: number }
      return fs.writeFileSync(path, content, { mode })
    }
    case 'serve':
    case 'serveUdp':
    case 'serveSctp':
    case 'unserve':
      return servers.request(op, args)
    case 'get':
    case 'udp':
    case 'load':
    case 'loadSnapshot':
    case 'loadStop':
    case 'hold':
    case 'holdStatus':
    case 'holdClose':
      return clients.request(op, args)
    default:
      throw new Error(`the lab guest knows no request ${op}`)
  }
}

async function build(plan: TopologyPlan): Promise<void> {
  await buildTopology(plan)
  servers.warm()
  clients.warm()
}
