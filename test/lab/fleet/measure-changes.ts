/** How long it takes from an operator's write to the kernel of a director, read at the kernel. */
import { REAL_SERVERS, twoSiteIntent, type FleetLab } from './fleet-lab.ts'

/** Milliseconds from sending a write until the kernel shows it, read in the director's namespace by a tight loop. */
export async function measureChanges(fleet: FleetLab, count: number): Promise<number[]> {
  const watcher = await fleet.lab.spawn('dir-a', [process.execPath, '-e', WATCH_WEIGHT], {
    name: 'watch-weight',
  })
  await watcher.waitFor('weight', 10_000)
  const samples: number[] = []
  for (let i = 0; i < count; i++) {
    const weight = 1000 + i
    const members = REAL_SERVERS.map((realServer) => ({
      realServer,
      weight: realServer === 'rs-a1' ? weight : 100,
    }))
    const since = Date.now()
    await fleet.controller.call('PATCH', '/v1/pools/web?force=true', { members })
    await watcher.waitFor(`weight ${weight}\n`, 10_000)
    samples.push(Date.now() - since)
  }
  await watcher.stop()
  await fleet.applyIntent(twoSiteIntent())
  await fleet.converged()
  return samples
}

/** Prints the weight of 10.1.0.11 (0A01000B) behind 10.1.0.100:80 whenever /proc/net/ip_vs shows another one. */
const WATCH_WEIGHT = `
const fs = require('node:fs')
let last = ''
setInterval(() => {
  const table = fs.readFileSync('/proc/net/ip_vs', 'utf8')
  const found = /0A010064:0050[^]*?0A01000B:0050 +\\w+ +(\\d+)/.exec(table)
  if (found && found[1] !== last) console.log('weight ' + (last = found[1]))
}, 20)`
