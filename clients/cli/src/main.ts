#!/usr/bin/env node
/** lvsfleet: the operators' command. Wires commands; errors become one line and an exit code. */
import { Command, CommanderError } from 'commander'
import { ZodError } from 'zod'
import { CliError } from './cli-error.ts'
import { addApiKeyCommands } from './commands/api-key.ts'
import { addAuditCommands } from './commands/audit.ts'
import { addDoctorCommands } from './commands/doctor.ts'
import { addDrainCommands } from './commands/drain.ts'
import { addEventCommands } from './commands/events.ts'
import { addEnrolmentCommands } from './commands/enrolment.ts'
import { addExplainCommand } from './commands/explain.ts'
import { addFleetCommands } from './commands/fleet.ts'
import { addHealthCommand } from './commands/health.ts'
import { addHostCommands } from './commands/hosts.ts'
import { addObjectCommands } from './commands/objects.ts'
import { addOverrideCommand } from './commands/override.ts'
import { addWebhookCommands } from './commands/webhooks.ts'
import { throwUsageErrors } from './usage-errors.ts'

const program = new Command('lvsfleet')
  .description('Linux Virtual Server for a whole fleet')
  .option('--api <url>', 'where the API is (LVSFLEET_API; default http://127.0.0.1:8080)')
  .option(
    '--key-file <file>',
    'file with the API key (LVSFLEET_KEY_FILE, or the key in LVSFLEET_KEY; default .lvsfleet/admin.key)',
  )
  .option(
    '--token-file <file>',
    'file with a token of an OIDC issuer (LVSFLEET_TOKEN_FILE, or the token in LVSFLEET_TOKEN)',
  )
  .option('-o, --output <form>', 'table, json or yaml')
  .addHelpText(
    'after',
    `
Exit codes: 0 done; 1 refused or not there; 2 used wrongly; 3 the API cannot be reached; 4 changes, with --detailed-exitcode

Examples:
  lvsfleet apply -f examples/two-sites.yaml
  lvsfleet status
  lvsfleet explain web-a
  lvsfleet explain --director dir-a --vip 10.1.0.100 --port 80 --client 198.51.100.7
  lvsfleet doctor
  lvsfleet health
  lvsfleet watch --severity warning
  lvsfleet drain real-server rs-b1 --for 15m --reason 'new disk'`,
  )
addFleetCommands(program)
addObjectCommands(program)
addOverrideCommand(program)
addDrainCommands(program)
addHostCommands(program)
addEnrolmentCommands(program)
addExplainCommand(program)
addDoctorCommands(program)
addHealthCommand(program)
addApiKeyCommands(program)
addAuditCommands(program)
addEventCommands(program)
addWebhookCommands(program)
throwUsageErrors(program)

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Who reads only the beginning, as `| head` does, has what was wanted; `watch` would go on for ever.
  if (error.code === 'EPIPE') process.exit()
  console.error(`lvsfleet: cannot write the output: ${error.message}`)
  process.exit(1)
})

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

function report(error: unknown): number {
  if (error instanceof CliError) {
    console.error(`lvsfleet: ${error.message}`)
    return error.exitCode
  }
  // Help, which commander has printed.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof ZodError) {
    console.error(
      `lvsfleet: the API answered something this version does not understand: ${error.issues[0]?.path.join('.') ?? ''}`,
    )
    return 1
  }
  throw error
}
