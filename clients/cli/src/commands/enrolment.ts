/** Who comes in and who is held off: enrolment rules, hosts that wait, revoke and release, the controller's keys. */
import { readFile } from 'node:fs/promises'
import { Argument, type Command } from 'commander'
import { parse } from 'yaml'
import { controllerSchema, pendingListSchema, ruleListSchema } from '../answers.ts'
import { printValue, write } from '../output/print.ts'
import { formatTable } from '../output/table.ts'
import { contextOf, type Context } from './context.ts'
import { hostPath } from './hosts.ts'

const RULES = '/v1/enrolment-rules'
const PENDING = '/v1/pending-enrolments'

export function addEnrolmentCommands(program: Command): void {
  program
    .command('enrolments')
    .description('hosts that wait for a person to let them in, and those that were refused today')
    .action(async (_: object, command: Command) => enrolments(contextOf(command)))
  for (const [name, what] of [
    ['approve', 'let a waiting host in'],
    ['refuse', 'keep a waiting host out'],
  ] as const) {
    program
      .command(name)
      .description(what)
      .argument('<id>', 'as enrolments shows it')
      .action(async (id: string, _: object, command: Command) => {
        await post(contextOf(command), `${PENDING}/${encodeURIComponent(id)}/${name}`)
      })
  }
  for (const [name, what] of [
    ['revoke', 'end the identity of a host: its next call is refused, forwarding goes on'],
    ['release', 'let a quarantined host go on'],
  ] as const) {
    program
      .command(name)
      .description(what)
      .argument('<host>', 'director/NAME or real-server/NAME')
      .action(async (host: string, _: object, command: Command) => {
        await post(contextOf(command), `${hostPath(host)}/${name}`)
      })
  }
  addRuleCommands(program)
  program
    .command('controller-key')
    .description('replace the key that signs states: announce, switch, retire')
    .addArgument(new Argument('<step>').choices(['announce', 'switch', 'retire']))
    .addHelpText(
      'after',
      '\nAgents hear of an announced key within a quarter of an hour; switch after that, retire when status shows all converged.',
    )
    .action(async (step: string, _: object, command: Command) =>
      controllerKey(contextOf(command), step),
    )
}

function addRuleCommands(program: Command): void {
  const rules = program
    .command('enrolment-rules')
    .description('which AWS identities may enrol, and as what')
  rules
    .command('list', { isDefault: true })
    .action(async (_: object, command: Command) => listRules(contextOf(command)))
  rules
    .command('put')
    .argument('<name>')
    .requiredOption('-f, --file <file>', 'the rule as YAML or JSON')
    .action(async (name: string, options: { file: string }, command: Command) => {
      const body: unknown = parse(await readFile(options.file, 'utf8'))
      const { api } = contextOf(command)
      await api.send({ method: 'PUT', path: `${RULES}/${encodeURIComponent(name)}`, body })
      write('done')
    })
  rules
    .command('delete')
    .argument('<name>')
    .action(async (name: string, _: object, command: Command) => {
      await contextOf(command).api.send({
        method: 'DELETE',
        path: `${RULES}/${encodeURIComponent(name)}`,
      })
      write('done')
    })
}

async function post({ api }: Context, path: string): Promise<void> {
  await api.send({ method: 'POST', path })
  write('done')
}

async function enrolments({ api, output }: Context): Promise<void> {
  const { items } = pendingListSchema.parse(await api.json({ path: PENDING }))
  printValue(items, output, () =>
    items.length === 0
      ? 'nobody waits'
      : formatTable(
          ['ID', 'STATE', 'HOST', 'SITE', 'BY', 'PROVEN', 'SINCE'],
          items.map((one) => [
            one.id,
            one.state,
            `${one.role}/${one.name}`,
            one.site,
            one.by,
            one.evidence['arn'] ?? '',
            one.createdAt,
          ]),
        ),
  )
}

async function listRules({ api, output }: Context): Promise<void> {
  const { items } = ruleListSchema.parse(await api.json({ path: RULES }))
  printValue(items, output, () =>
    items.length === 0
      ? 'there is no rule: no host enrols by an AWS identity'
      : formatTable(
          ['NAME', 'ARN', 'BECOMES', 'SITE', 'APPROVAL'],
          items.map((one) => [
            one.name,
            one.aws.arn,
            `${one.role}/${one.hostName}`,
            one.site,
            one.approval,
          ]),
        ),
  )
}

async function controllerKey({ api, output }: Context, step: string): Promise<void> {
  const answer = controllerSchema.parse(
    await api.json({ method: 'POST', path: `/v1/controller/keys/${step}` }),
  )
  printValue(
    answer,
    output,
    () =>
      `signs with ${answer.signing}; agents trust ${answer.keys.length} key(s), list ${answer.keySerial}`,
  )
}
