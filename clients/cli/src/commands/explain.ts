/** explain: of a virtual service how each director reaches each real server; of one packet everything that happens to it. */
import { packetExplanationSchema, serviceExplanationSchema } from '@lvs-fleet/contract'
import type { Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { formatPacket } from '../output/packet.ts'
import { printValue } from '../output/print.ts'
import { formatTable } from '../output/table.ts'
import { contextOf, type Context } from './context.ts'

type ExplainOptions = {
  readonly all?: boolean
  readonly director?: string
  readonly vip?: string
  readonly protocol?: string
  readonly port?: string
  readonly mark?: string
  readonly client?: string
  readonly realServer?: string
}

export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description(
      'for a virtual service: how each director reaches each real server, and why; for --director and --vip: what happens to a packet',
    )
    .argument('[virtual-service]')
    .option('--all', 'also every method that was passed over')
    .option('--director <name>', 'the director that the packet comes to')
    .option('--vip <address>', 'where the packet goes')
    .option('--protocol <protocol>', 'tcp, udp or sctp; where more than one has the port')
    .option('--port <port>', 'where the packet goes')
    .option('--mark <mark>', 'the firewall mark that it carries, instead of a port')
    .option('--client <address>', 'who sends it')
    .option('--real-server <name>', 'only the way to this real server')
    .addHelpText(
      'after',
      `
Examples:
  lvsfleet explain shop-a --all
  lvsfleet explain --director dir-a --vip 10.1.0.100 --port 80 --client 198.51.100.7`,
    )
    .action(async (name: string | undefined, options: ExplainOptions, command: Command) => {
      const context = contextOf(command)
      if (name !== undefined) return explainService(context, name, options)
      return explainPacket(context, options)
    })
}

async function explainPacket({ api, output }: Context, options: ExplainOptions): Promise<void> {
  const { director, vip, protocol, port, client, realServer } = options
  if (director === undefined || vip === undefined) {
    throw new CliError('name a virtual service, or a packet with --director and --vip', 2)
  }
  const query = { director, vip, protocol, port, client, firewallMark: options.mark }
  const answer = packetExplanationSchema.parse(await api.json({ path: '/v1/explain', query }))
  const destinations = answer.destinations.filter(
    (one) => realServer === undefined || one.realServer === realServer,
  )
  if (destinations.length === 0 && realServer !== undefined) {
    throw new CliError(`${answer.virtualService} has no real server ${realServer}`, 1)
  }
  const shown = { ...answer, destinations }
  printValue(shown, output, () => formatPacket(shown))
}

async function explainService(
  { api, output }: Context,
  name: string,
  options: ExplainOptions,
): Promise<void> {
  const { all, director, vip, protocol, port, mark, client, realServer } = options
  if ([director, vip, protocol, port, mark, client, realServer].some((one) => one !== undefined)) {
    throw new CliError(
      `leave out ${name} to ask about a packet, or the options to ask about ${name}`,
      2,
    )
  }
  const answer = serviceExplanationSchema.parse(
    await api.json({ path: `/v1/virtual-services/${encodeURIComponent(name)}/explain` }),
  )
  printValue(answer.choices, output, () =>
    formatTable(
      ['DIRECTOR', 'SERVICE', 'REAL SERVER', 'METHOD', 'ADDRESS', 'WEIGHT', 'WHY'],
      answer.choices.map((item) => [
        item.director,
        item.service,
        item.realServer,
        item.forwarding ?? 'none',
        item.address ?? '',
        String(item.weight),
        [
          item.why,
          ...item.weightReasons,
          ...(all === true
            ? item.passedOver.map(({ method, reason }) => `not ${method}: ${reason}`)
            : []),
        ].join('; '),
      ]),
    ),
  )
}
