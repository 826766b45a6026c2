/** doctor, hosts: what is set wrong on the hosts of the fleet, and what their kernels can. */
import type { Command } from 'commander'
import { findingListSchema, hostListSchema, type Host, type HostFinding } from '../answers.ts'
import { printValue } from '../output/print.ts'
import { formatTable } from '../output/table.ts'
import { contextOf, type Context } from './context.ts'
import { readPages } from './pages.ts'

type DoctorOptions = { readonly role?: string; readonly host?: string; readonly severity?: string }

export function addDoctorCommands(program: Command): void {
  program
    .command('doctor')
    .description(
      'what the checks on all hosts found, broken ones first; exits with 1 when something is broken',
    )
    .option('--role <role>', 'director or real-server')
    .option('--host <name>', 'only the host of this name')
    .option('--severity <severity>', 'broken, risk or info')
    .addHelpText('after', '\nOn a host itself, with every check: lvsfleet-agent doctor')
    .action(async (options: DoctorOptions, command: Command) => doctor(contextOf(command), options))
  program
    .command('hosts')
    .description(
      'every director and real server: its kernel, what that cannot do, and whether paths carry their MTU',
    )
    .action(async (_: object, command: Command) => hosts(contextOf(command)))
}

async function doctor({ api, output }: Context, options: DoctorOptions): Promise<void> {
  const { role, host: name, severity } = options
  const found = await readPages(api, '/v1/doctor', findingListSchema, { role, name, severity })
  printValue(found, output, () =>
    found.length === 0 ? 'healthy: no host reports anything' : findingTable(found),
  )
  if (found.some((one) => one.severity === 'broken')) process.exitCode = 1
}

function findingTable(found: readonly HostFinding[]): string {
  return formatTable(
    ['SEVERITY', 'HOST', 'CHECK', 'OBJECT', 'FOUND', 'USERS SEE', 'FIX'],
    found.map((one) => [
      one.severity,
      `${one.role}/${one.name}`,
      one.check,
      one.object,
      one.found,
      one.symptom,
      one.commands[0] ?? '',
    ]),
  )
}

async function hosts({ api, output }: Context): Promise<void> {
  const items = await readPages(api, '/v1/hosts', hostListSchema)
  printValue(items, output, () =>
    formatTable(
      ['HOST', 'SITE', 'KERNEL', 'IPVS', 'TABLE', 'PATHS', 'CANNOT', 'NOT KNOWN'],
      items.map(hostRow),
    ),
  )
}

function hostRow({ role, name, site, capabilities: known, paths }: Host): string[] {
  const verdicts = known === null ? [] : Object.entries(verdictsOf(known))
  const named = (verdict: string) =>
    verdicts.filter(([, value]) => value === verdict).map(([key]) => key)
  return [
    `${role}/${name}`,
    site,
    known?.kernelRelease ?? '',
    known?.ipvsVersion ?? known?.ipvs ?? '',
    known?.connectionTableSize?.toString() ?? '',
    pathText(paths),
    named('no').join(' '),
    known === null ? 'everything' : named('unknown').join(' '),
  ]
}

/** `8 fit`, `6 fit, 2 too small`, `1 unknown`. */
function pathText(paths: Host['paths']): string {
  const counts = [
    [paths?.fittingCount ?? 0, 'fit'],
    [paths?.narrowCount ?? 0, 'too small'],
    [paths?.unknownCount ?? 0, 'unknown'],
  ] as const
  return counts.flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`])).join(', ')
}

/** `twos`, `tun gue`, `device ip6gre`, `sync`, `nftables`. */
function verdictsOf(known: NonNullable<Host['capabilities']>): Record<string, string> {
  const named = (prefix: string, verdicts: Readonly<Record<string, string>>) =>
    Object.entries(verdicts).map(([name, value]) => [`${prefix}${name}`, value] as const)
  return Object.fromEntries([
    ['ipvs', known.ipvs],
    ...named('', known.schedulers),
    ...named('tun-', known.tunnels),
    ...named('device-', known.decapsulation),
    ['sync', known.syncDaemon],
    ['nftables', known.nftables],
  ])
}
