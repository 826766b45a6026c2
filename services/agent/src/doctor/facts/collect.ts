/**
 * Collects the facts of this host. Each source may be absent: then its facts are null and the checks that need
 * them say nothing. `cheap` leaves out what costs a program start or a dump of every destination, so that a
 * running agent can look every few minutes.
 */
import {
  familyOf,
  serviceKey,
  type Capabilities,
  type Ip,
  type PathReport,
} from '@lvs-fleet/contract'
import type { Inspector, RouteAnswer } from '../../kernel/inspect/inspector.ts'
import { KernelError, type Kernel, type ObservedNetwork } from '../../kernel/kernel.ts'
import type { InForceView } from '../check.ts'
import type { Facts, ManagerProcess } from './facts.ts'
import type { HostReader } from './host-reader.ts'
import { parseHandshakes } from './parse-connections.ts'
import { managerOf, parseCounters } from './parse-proc.ts'
import { parseRuleset } from './parse-ruleset.ts'
import { sysctlKeys } from './sysctl-keys.ts'
import { readSysctlFiles, sysctlOrigins } from './sysctl-origins.ts'

export type CollectPorts = {
  readonly kernel: Kernel
  readonly inspector: Inspector
  readonly reader: HostReader
  readonly stateDir: string
}

export type CollectOptions = {
  readonly depth: 'cheap' | 'full'
  readonly capabilities: Capabilities | null
  readonly clockSkewSeconds: number | null
  readonly paths: PathReport | null
}

/** Addresses whose route is asked for, and VIPs asked by ARP: a bound for hosts with thousands. */
const ROUTES_MAX = 256
const ASKED_MAX = 256
/** About 40,000 connections: the table is in the order of a hash, so its beginning tells of all. */
const CONNECTIONS_BYTES_MAX = 4 * 1024 * 1024

export async function collectFacts(
  ports: CollectPorts,
  state: Omit<InForceView, 'pending'>,
  options: CollectOptions,
): Promise<Facts> {
  const { kernel, inspector, reader } = ports
  const isFull = options.depth === 'full'
  const network = await kernel.observeNetwork()
  const keys = sysctlKeys(state.host, network)
  const namespace = await readNamespace(reader)
  const ipvs = await readServices(kernel)
  return {
    capabilities: options.capabilities,
    namespace,
    sysctls: present(await kernel.readSysctls(keys)),
    sysctlOrigins: sysctlOrigins(await readSysctlFiles(reader), keys),
    network,
    guePorts:
      state.host.guePorts.length === 0
        ? []
        : await kernel.observeGuePorts().catch(nullForKernelError),
    syncDaemons:
      state.host.syncDaemons.length === 0
        ? []
        : await kernel.listSyncDaemons().catch(nullForKernelError),
    clamps: isFull ? await kernel.observeClamps().catch(nullForKernelError) : null,
    ...ipvs,
    destinations: isFull && ipvs.services !== null ? await readDestinations(kernel, state) : null,
    handshakes: isFull ? await readHandshakes(reader) : null,
    routes: await readRoutes(inspector, state),
    paths: options.paths,
    neighbours: await inspector.neighbours(),
    duplicates: isFull ? await askDuplicates(inspector, state, network) : null,
    offloads: isFull ? await inspector.offloads().catch(nullForKernelError) : null,
    managers: await readManagers(reader, namespace?.own),
    ruleset: isFull ? await readRuleset(reader) : null,
    counters: await readCounters(reader),
    stateDirectory: await reader.tryStateDirectory(ports.stateDir),
    clockSkewSeconds: options.clockSkewSeconds,
  }
}

function present(values: ReadonlyMap<string, string | undefined>): Map<string, string> {
  const map = new Map<string, string>()
  for (const [key, value] of values) if (value !== undefined) map.set(key, value)
  return map
}

async function readNamespace(reader: HostReader): Promise<Facts['namespace']> {
  const own = await reader.readLink('/proc/self/ns/net')
  const first = await reader.readLink('/proc/1/ns/net')
  return own === undefined || first === undefined ? null : { own, first }
}

async function readServices(kernel: Kernel): Promise<Pick<Facts, 'services' | 'ipvsError'>> {
  try {
    return { services: (await kernel.listServices()).services, ipvsError: null }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    return { services: null, ipvsError: error.message }
  }
}

async function readDestinations(
  kernel: Kernel,
  state: Pick<InForceView, 'services'>,
): Promise<Facts['destinations']> {
  const lists = await kernel.listDestinations(state.services)
  const byService = new Map<string, NonNullable<(typeof lists)[number]>>()
  for (const [i, service] of state.services.entries()) {
    const list = lists[i]
    if (list !== undefined) byService.set(serviceKey(service), list)
  }
  return byService
}

async function readHandshakes(reader: HostReader): Promise<Facts['handshakes']> {
  const text = await reader.readStart('/proc/net/ip_vs_conn', CONNECTIONS_BYTES_MAX)
  return text === undefined ? null : parseHandshakes(text)
}

async function readRoutes(
  inspector: Inspector,
  state: Pick<InForceView, 'services'>,
): Promise<Map<Ip, RouteAnswer>> {
  const addresses = new Set<Ip>()
  for (const { destinations } of state.services) {
    for (const { address, forwarding } of destinations) {
      if (forwarding.method !== 'local' && addresses.size < ROUTES_MAX) addresses.add(address)
    }
  }
  const list = [...addresses]
  const answers = await inspector.routesTo(list)
  const routes = new Map<Ip, RouteAnswer>()
  for (const [i, address] of list.entries()) {
    const answer = answers[i]
    if (answer !== undefined) routes.set(address, answer)
  }
  return routes
}

async function askDuplicates(
  inspector: Inspector,
  state: Pick<InForceView, 'host'>,
  network: ObservedNetwork,
): Promise<Facts['duplicates']> {
  const loopback = network.links.find(({ name }) => name === 'lo')?.index
  const asked = state.host.addresses
    .filter(({ address, place }) => 'holding' in place && familyOf(address) === 'ipv4')
    .flatMap(({ address }) => network.addresses.filter((held) => held.address === address))
    .filter(({ linkIndex }) => linkIndex !== loopback)
    .slice(0, ASKED_MAX)
  return inspector.whoElseHas(asked)
}

async function readManagers(
  reader: HostReader,
  namespace: string | undefined,
): Promise<ManagerProcess[]> {
  const managers: ManagerProcess[] = []
  for (const name of await reader.list('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const found = managerOf(Number(name), (await reader.readText(`/proc/${name}/cmdline`)) ?? '')
    if (found === undefined || managers.some((one) => one.name === found.name)) continue
    // Of another network namespace, it has another IPVS table.
    if ((await reader.readLink(`/proc/${name}/ns/net`)) === namespace) managers.push(found)
  }
  return managers
}

async function readRuleset(reader: HostReader): Promise<Facts['ruleset']> {
  const result = await reader.run(['nft', '-j', 'list', 'ruleset'])
  return result?.code === 0 ? parseRuleset(result.output) : null
}

async function readCounters(reader: HostReader): Promise<Map<string, number>> {
  const counters = new Map<string, number>()
  for (const path of ['/proc/net/netstat', '/proc/net/snmp']) {
    for (const [name, value] of parseCounters((await reader.readText(path)) ?? '')) {
      counters.set(name, value)
    }
  }
  return counters
}

function nullForKernelError(error: unknown): null {
  if (error instanceof KernelError) return null
  throw error
}
