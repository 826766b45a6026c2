/**
 * Terraform with the double in place of AWS. The schema comes from a package that .lab/infra keeps (436 MB, downloaded once,
 * never shipped). One double stands for all runs of a test file, because starting one takes longer than what is
 * asked of it; `installed` is how operators get a provider: a program below a mirror that terraform starts.
 */
import { execFile, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { handle } from '../../clients/terraform-provider/src/core/serve.ts'
import { makeDouble } from './aws-double.ts'
import { readAwsSchema, type AwsSchema } from './aws-schema.ts'

const PACKAGE = '@cdktn/provider-aws@24.1.0'
const PROVIDER_VERSION = '6.45.0'
const PROVIDER = 'registry.terraform.io/hashicorp/aws'
const root = fileURLToPath(new URL('../..', import.meta.url))
export const lab = join(root, '.lab/infra')
const library = join(lab, 'node_modules/@cdktn/provider-aws/lib')

/** Output of both streams; the status is that of the program. */
export type Run = (
  folder: string,
  ...args: readonly string[]
) => Promise<{ readonly status: number | null; readonly output: string }>

export type Terraform = {
  readonly run: Run
  readonly installed: Run
  readonly close: () => Promise<void>
}

/** Throws what is missing: the program, or the package when there is no network. */
export async function startTerraform(): Promise<Terraform> {
  const found = spawnSync('terraform', ['version'], { encoding: 'utf8' })
  if (found.status !== 0) throw new Error('there is no terraform in PATH')
  installSchema()
  const hcl = globSync('infra/**/*.tf', { cwd: root }).map((file) =>
    readFileSync(join(root, file), 'utf8'),
  )
  const schema = readAwsSchema(library, hcl)
  const standing = await standDouble(schema)
  return {
    run: runWith({ TF_REATTACH_PROVIDERS: standing.reattach }),
    installed: (...args) => runWith({ TF_CLI_CONFIG_FILE: mirror(schema) })(...args),
    close: standing.close,
  }
}

function runWith(settings: Readonly<Record<string, string>>): Run {
  // No settings of the machine's: they may name other places for providers.
  const env = { ...process.env, TF_CLI_CONFIG_FILE: emptyConfig(), ...settings }
  return (folder, ...args) =>
    new Promise((resolve) => {
      const child = execFile(
        'terraform',
        [`-chdir=${folder}`, ...args],
        {
          env: { ...env, TF_IN_AUTOMATION: '1', CHECKPOINT_DISABLE: '1' },
          timeout: 300_000,
          maxBuffer: 64 * 1024 * 1024,
        },
        (_, stdout, stderr) => resolve({ status: child.exitCode, output: `${stdout}${stderr}` }),
      )
    })
}

function emptyConfig(): string {
  const file = join(lab, 'terraformrc-empty')
  writeFileSync(file, '')
  return file
}

/** In this process, on a socket without TLS, as terraform takes a provider that somebody else started. */
async function standDouble(
  schema: AwsSchema,
): Promise<{ readonly reattach: string; readonly close: () => Promise<void> }> {
  const double = makeDouble(schema)
  const folder = mkdtempSync(join(tmpdir(), 'lvsfleet-double-'))
  const socket = join(folder, 'socket')
  const server = createServer()
  const sessions = new Set<{ close: () => void; destroy: () => void }>()
  server.on('session', (session) => {
    sessions.add(session)
    session.on('error', () => {})
    session.on('close', () => sessions.delete(session))
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    void handle(double, stream, String(headers[':path']))
  })
  await new Promise<void>((done) => server.listen(socket, done))
  const how = {
    Protocol: 'grpc',
    ProtocolVersion: 6,
    Pid: process.pid,
    Test: true,
    Addr: { Network: 'unix', String: socket },
  }
  return {
    reattach: JSON.stringify({ [PROVIDER]: how }),
    close: async () => {
      for (const session of sessions) session.destroy()
      await new Promise((done) => server.close(done))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A folder from which terraform installs the double as hashicorp/aws; gives the settings that say so. */
function mirror(schema: AwsSchema): string {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const place = join(lab, `mirror/${PROVIDER}/${PROVIDER_VERSION}/linux_${architecture}`)
  const program = join(place, `terraform-provider-aws_v${PROVIDER_VERSION}`)
  const config = join(lab, 'terraformrc')
  if (existsSync(program)) rmSync(place, { recursive: true })
  mkdirSync(place, { recursive: true })
  const bundle = join(place, 'double.mjs')
  buildSync({
    entryPoints: [fileURLToPath(new URL('aws-double-main.ts', import.meta.url))],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'warning',
  })
  writeFileSync(join(place, 'schema.json'), JSON.stringify(schema))
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${bundle}'\n`)
  chmodSync(program, 0o755)
  writeFileSync(
    config,
    `provider_installation {\n  filesystem_mirror {\n    path = "${join(lab, 'mirror')}"\n  }\n}\n`,
  )
  return config
}

function installSchema(): void {
  if (existsSync(library)) return
  mkdirSync(lab, { recursive: true })
  writeFileSync(join(lab, 'package.json'), '{ "private": true }\n')
  const args = [
    'install',
    '--no-save',
    '--ignore-scripts',
    '--legacy-peer-deps',
    '--loglevel=error',
  ]
  const done = spawnSync('npm', [...args, PACKAGE], {
    cwd: lab,
    encoding: 'utf8',
    timeout: 300_000,
  })
  if (done.status !== 0)
    throw new Error(`${PACKAGE} cannot be installed; is there a network? ${done.stderr}`)
}
