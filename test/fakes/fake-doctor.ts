/** The doctor's view of a host on the fake kernel: a host reader with files in memory, and routes by rule. */
import type { Capabilities, Ip } from '@lvs-fleet/contract'
import type { HostReader } from '../../services/agent/src/doctor/facts/host-reader.ts'
import type { DoctorPorts } from '../../services/agent/src/doctor/ports.ts'
import type { RouteAnswer } from '../../services/agent/src/kernel/inspect/inspector.ts'
import { ABLE, route } from './patients.ts'

export type FakeDoctor = DoctorPorts & {
  /** Text by path; folders follow from it. */
  readonly files: Map<string, string>
  readonly links: Map<string, string>
  /** Programs that were run, and what the next run of each prints. */
  readonly ran: string[]
  readonly programs: Map<string, { code: number; output: string }>
  readonly routes: Map<Ip, RouteAnswer>
  capabilities: Capabilities
  probes: number
}

export function createFakeDoctor(): FakeDoctor {
  const files = new Map<string, string>()
  const links = new Map([
    ['/proc/self/ns/net', 'net:[1]'],
    ['/proc/1/ns/net', 'net:[1]'],
  ])
  const ran: string[] = []
  const programs = new Map<string, { code: number; output: string }>()
  const routes = new Map<Ip, RouteAnswer>()
  const reader: HostReader = {
    readText: async (path) => files.get(path),
    readStart: async (path, bytesMax) => files.get(path)?.slice(0, bytesMax),
    list: async (folder) => [
      ...new Set(
        [...files.keys()]
          .filter((path) => path.startsWith(`${folder}/`))
          .map((path) => path.slice(folder.length + 1).split('/')[0] ?? ''),
      ),
    ],
    readLink: async (path) => links.get(path),
    async run(command) {
      ran.push(command.join(' '))
      return programs.get(command[0] ?? '')
    },
    tryStateDirectory: async () => ({ error: null, freeBytes: 1e9 }),
  }
  const fake: FakeDoctor = {
    files,
    links,
    ran,
    programs,
    routes,
    capabilities: ABLE,
    probes: 0,
    reader,
    openInspector: async () => ({
      routesTo: async (addresses) => addresses.map((address) => routes.get(address) ?? route()),
      neighbours: async () => [],
      whoElseHas: async () => new Map(),
      offloads: async () => new Map(),
      close: () => undefined,
    }),
    async probe() {
      fake.probes++
      return fake.capabilities
    },
  }
  return fake
}
