/**
 * The traffic matrix from end to end: compile one fleet with every cell, program all hosts by the agent, send the
 * traffic, ask the kernels what they counted, ask for what cannot be, and give it all as rows. Takes a lab with
 * `matrixTopology`; `cells` may be fewer than all.
 */
import type { Protocol } from '@lvs-fleet/contract'
import { inTurn } from './in-turn.ts'
import type { Lab } from '../lab.ts'
import { canWork, type Cell, CELLS, TCP_PORTS } from './cells.ts'
import { type Counted, readCounters } from './counters.ts'
import { asksOf, compileAsks, methodOf } from './fleet.ts'
import { MIXED, mixedAsks, proveMixed } from './mixed.ts'
import { proveMisroutes } from './misroutes.ts'
import { program } from './program.ts'
import { refuseCells } from './refused-cells.ts'
import type { CellRow, Matrix } from './result.ts'
import { proveFailOver, proveSchedulers, schedulerAsks } from './schedulers.ts'
import { CLIENT, DIRECTOR } from './topology.ts'
import { hostOf, sendTraffic } from './traffic.ts'
import {
  counterOf,
  READ_TOO_BIG,
  READ_WITNESS,
  readWitness,
  tooBigTable,
  witnessTable,
} from './witness.ts'

type Log = (text: string) => void

const CELLS_AT_A_TIME = 2

export async function runMatrix(
  lab: Lab,
  log: Log,
  cells: readonly Cell[] = CELLS,
): Promise<Matrix> {
  const works = cells.filter(canWork)
  const refused = cells.filter((cell) => !canWork(cell))
  const standing = [...asksOf(works), ...mixedAsks()]
  log(`compiling and programming ${standing.length} virtual services`)
  await program(lab, compileSound([...standing, ...schedulerAsks()]))
  log('starting servers')
  await prepareHosts(lab, works)
  await serve(lab, works)
  const rows = new Map((await measure(lab, works, log)).map((row) => [row.cell, row]))
  log(`asking for ${refused.length} cells that cannot be`)
  for (const row of await refuseCells(lab, refused)) rows.set(row.cell, row)
  log('mixing methods')
  const mixed = await inTurn(MIXED, 1, (each) => proveMixed(lab, each))
  log('trying each scheduler')
  const schedulers = await proveSchedulers(lab)
  const failedOver = compileSound([...standing, ...schedulerAsks({ weightOfB3: 0 })])
  await program(lab, failedOver, [DIRECTOR])
  schedulers.push(await proveFailOver(lab))
  log('asking the kernel for what the compiler refuses')
  const misroutes = await proveMisroutes(lab)
  const kernel = (await lab.sh('root', 'uname -r')).trim()
  return {
    kernel,
    cells: cells.flatMap((cell) => rows.get(cell) ?? []),
    schedulers,
    mixed,
    misroutes,
  }
}

function compileSound(asks: Parameters<typeof compileAsks>[0]) {
  const compiled = compileAsks(asks)
  const [first] = compiled.problems
  if (first !== undefined) throw new Error(`the matrix does not compile: ${first.message}`)
  return compiled
}

/** The return path of NAT, which is the network's affair, and the counters. */
async function prepareHosts(lab: Lab, cells: readonly Cell[]): Promise<void> {
  await lab.sh('rs-a3', 'ip route replace default via 10.1.0.10')
  await lab.sh('rs-a4', 'ip -6 route replace default via fd01::10')
  const byHost = Map.groupBy(cells, ({ server }) => hostOf(server))
  await inTurn([...byHost], 2, async ([host, own]) => {
    const table = witnessTable(own, (server) => addressOf(lab, server))
    await lab.sh(host, ['nft', '-f', '-'], { stdin: table })
  })
  await lab.sh(DIRECTOR, ['nft', '-f', '-'], { stdin: tooBigTable(cells) })
}

function addressOf({ topology }: Lab, server: string): string {
  const host = topology.hosts.find(({ name }) => name === server)
  if (host === undefined) throw new Error(`the lab has no host ${server}`)
  return server === 'rs-a4' ? host.v6 : host.v4
}

async function serve(lab: Lab, cells: readonly Cell[]): Promise<void> {
  const hosts = lab.topology.hosts.map(({ name }) => name).filter((name) => name !== CLIENT)
  for (const host of hosts) await lab.serve(host, { ports: TCP_PORTS })
  type Socket = { protocol: Protocol; host: string; port: number; bind: string }
  const sockets = new Map<string, Socket>()
  const add = (
    protocol: Protocol,
    server: string,
    form: Cell['form'],
    { port, vip }: { readonly port: number; readonly vip: string },
  ) => {
    if (protocol === 'tcp') return
    // NAT asks the real server by its own address; all others leave the VIP in the packet.
    const bind = form === 'nat' ? addressOf(lab, server) : vip
    const key = `${protocol} ${server} ${bind} ${port}`
    sockets.set(key, { protocol, host: hostOf(server), port, bind })
  }
  for (const { protocol, listeners, server, form, vip } of cells)
    for (const { port } of listeners) add(protocol, server, form, { port, vip })
  for (const { protocol, parts, vip } of MIXED)
    for (const [form, server] of parts) add(protocol, server, form, { port: 53, vip })
  await inTurn([...sockets.values()], 4, ({ protocol, host, ...at }) =>
    protocol === 'udp' ? lab.serveUdp(host, at) : lab.serveSctp(host, at),
  )
}

async function measure(lab: Lab, cells: readonly Cell[], log: Log): Promise<CellRow[]> {
  const faults = new Map<Cell, string[]>()
  let done = 0
  await inTurn(cells, CELLS_AT_A_TIME, async (cell) => {
    faults.set(cell, await sendTraffic(lab, cell))
    log(`${++done}/${cells.length} ${cell.name} ${faults.get(cell)?.join('; ') || 'ok'}`)
  })
  // The kernel sums the counters of a service every two seconds, so they are asked for last.
  const counted = readCounters(await lab.sh(DIRECTOR, 'sleep 2; ipvsadm -Ln --stats --exact'))
  const hosts = [...new Set(cells.map(({ server }) => hostOf(server)))]
  const listings = await inTurn(hosts, 2, (host) => lab.sh(host, READ_WITNESS))
  const arrived = readWitness(listings.join('\n'))
  const tooBig = readWitness(await lab.sh(DIRECTOR, READ_TOO_BIG))
  return cells.map((cell) =>
    judge(cell, faults.get(cell) ?? [], counted.get(cell.vip), { arrived, tooBig }),
  )
}

function judge(
  cell: Cell,
  faults: readonly string[],
  counted: Counted | undefined,
  { arrived, tooBig }: Readonly<Record<'arrived' | 'tooBig', ReadonlyMap<string, number>>>,
): CellRow {
  if (counted === undefined)
    return { cell, text: 'missing', faults: ['the kernel has no such service'] }
  const exchanges = cell.listeners.length + (cell.protocol === 'udp' ? 0 : 2)
  const all = [...faults]
  if (counted.connections !== exchanges)
    all.push(`the director counted ${counted.connections} connections instead of ${exchanges}`)
  if ((arrived.get(counterOf(cell)) ?? 0) < exchanges)
    all.push(
      `${arrived.get(counterOf(cell))} packets arrived as ${cell.form} over ${cell.serverFamily}`,
    )
  // What a Local Node answers leaves by the director's own IPVS, which counts it.
  const throughDirector = ['nat', 'local'].includes(methodOf(cell.form))
  const returned = counted.packetsOut - (tooBig.get(counterOf(cell)) ?? 0)
  if (returned > 0 !== throughDirector)
    all.push(`${returned} packets came back through the director`)
  const what = cell.protocol === 'udp' ? 'datagrams and answers' : 'requests, 1 MB down, 1 MB up'
  return { cell, text: `ok: ${cell.listeners.length} ${what}`, faults: all }
}
