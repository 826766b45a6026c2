// Prints the map of the lab and who reaches whom by ping, on both families.
import type { Lab } from '../lab.ts'
import { API, type Host, type Segment, type Topology } from '../topology.ts'
import type { Print, Scenario } from './scenario.ts'

export const topologyMap: Scenario = {
  name: 'topology',
  summary: 'print the map of the lab, and who reaches whom',
  async run(lab, print) {
    print(formatMap(lab.topology))
    print('\nwho reaches whom (4 = IPv4, 6 = IPv6, . = no answer):\n')
    await printReachability(lab, print)
  },
}

function formatMap(topology: Topology): string {
  const lines = topology.routers.flatMap((router) => [
    `${router.name}  wan ${router.wan.v4} ${router.wan.v6}`,
    ...topology.segments
      .filter((segment) => segment.router === router.name)
      .flatMap((segment) => formatSegment(topology, segment)),
    '',
  ])
  const vips = Object.entries(topology.vips).map(
    ([site, { v4, v6 }]) => `VIPs of site ${site}: ${v4} ${v6} (not configured by the lab)`,
  )
  return [...lines, ...vips, `API on the host: ${API.url} (from every host)`].join('\n')
}

function formatSegment(topology: Topology, segment: Segment): string[] {
  const { name, v4, v6 } = segment
  const hosts = topology.hosts.filter((host) => host.segment === name)
  return [
    `  ├─ ${name.padEnd(10)} gateway ${v4.router}/${v4.prefix} ${v6.router}/${v6.prefix}`,
    ...hosts.map((host) => `  │    ${host.name.padEnd(8)} ${host.v4.padEnd(12)} ${host.v6}`),
  ]
}

async function printReachability(lab: Lab, print: Print): Promise<void> {
  const { hosts } = lab.topology
  const width = Math.max(...hosts.map(({ name }) => name.length)) + 1
  print(`${''.padEnd(width)}${hosts.map(({ name }) => name.padEnd(width)).join('')}`)
  for (const from of hosts) {
    const cells = await reachableFrom(lab, from)
    print(`${from.name.padEnd(width)}${cells.map((cell) => cell.padEnd(width)).join('')}`)
    const missing = cells.some((cell) => cell.includes('.'))
    if (missing) throw new Error(`${from.name} does not reach everybody`)
  }
}

/** One shell for all pings of a host: processes are dear in the guest. */
async function reachableFrom(lab: Lab, from: Host): Promise<string[]> {
  const commands = lab.topology.hosts.map(
    ({ v4, v6 }) =>
      `a=.; b=.; busybox ping -c 1 -W 2 ${v4} >/dev/null && a=4; ` +
      `busybox ping6 -c 1 -W 2 ${v6} >/dev/null && b=6; echo $a$b`,
  )
  const text = await lab.sh(from.name, commands.join('\n'), { timeoutMs: 60_000 })
  return text.trim().split('\n')
}
