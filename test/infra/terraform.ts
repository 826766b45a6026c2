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
import type { Provider } from '../../clients/terraform-provider/src/core/provider.ts'
import { handle } from '../../clients/terraform-provider/src/core/serve.ts'
import { makeDouble } from './aws-double.ts'
import { readAwsSchema } from './aws-schema.ts'

const PACKAGE = '@cdktn/provider-aws@24.1.0'
const PROVIDER_VERSION = '6.45.0'
const PROVIDER = 'registry.terraform.io/hashicorp/aws'
const VERSION_OF_OTHERS = '0.1.0'
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
  requireTerraform()
  installSchema()
  const hcl = globSync('infra/**/*.tf', { cwd: root }).map((file) =>
    readFileSync(join(root, file), 'utf8'),
  )
  const schema = readAwsSchema(library, hcl)
  const standing = await standProvider(makeDouble(schema), PROVIDER)
  const install = () =>
    mirror({
      address: PROVIDER,
      version: PROVIDER_VERSION,
      entry: 'aws-double-main.ts',
      beside: { 'schema.json': JSON.stringify(schema) },
    })
  return {
    run: runWith({ TF_REATTACH_PROVIDERS: standing.reattach }),
    installed: (...args) => runWith({ TF_CLI_CONFIG_FILE: install() })(...args),
    close: standing.close,
  }
}

/** Terraform with a provider that stands in this process; its address is `HOST/NAMESPACE/TYPE`. */
export async function startWith(
  provider: Provider,
  address: string,
): Promise<{ readonly run: Run; readonly close: () => Promise<void> }> {
  requireTerraform()
  const { reattach, close } = await standProvider(provider, address)
  return { run: runWith({ TF_REATTACH_PROVIDERS: reattach }), close }
}

/** Settings under which terraform installs and starts `entry` as this provider. */
export function installed(address: string, entry: string): Readonly<Record<string, string>> {
  return { TF_CLI_CONFIG_FILE: mirror({ address, version: VERSION_OF_OTHERS, entry, beside: {} }) }
}

function requireTerraform(): void {
  const found = spawnSync('terraform', ['version'], { encoding: 'utf8' })
  if (found.status !== 0) throw new Error('there is no terraform in PATH')
}

export function runWith(settings: Readonly<Record<string, string>>): Run {
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
async function standProvider(
  provider: Provider,
  address: string,
): Promise<{ readonly reattach: string; readonly close: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'lvsfleet-provider-'))
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
    void handle(provider, stream, String(headers[':path']))
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
    reattach: JSON.stringify({ [address]: how }),
    close: async () => {
      for (const session of sessions) session.destroy()
      await new Promise((done) => server.close(done))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

type Program = {
  readonly address: string
  readonly version: string
  /** A file of this folder. */
  readonly entry: string
  /** Files that it reads from its own folder: text by name. */
  readonly beside: Readonly<Record<string, string>>
}

/** A folder from which terraform installs a program as this provider; gives the settings that say so. */
function mirror({ address, version, entry, beside }: Program): string {
  const type = address.split('/').at(-1) ?? ''
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const place = join(lab, `mirror/${address}/${version}/linux_${architecture}`)
  const program = join(place, `terraform-provider-${type}_v${version}`)
  const config = join(lab, `terraformrc-${type}`)
  if (existsSync(program)) rmSync(place, { recursive: true })
  mkdirSync(place, { recursive: true })
  const bundle = join(place, 'provider.mjs')
  buildSync({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    outfile: bundle,
    bundle: true,
    // As it would ship: names of classes are gone.
    minify: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'warning',
  })
  for (const [name, text] of Object.entries(beside)) writeFileSync(join(place, name), text)
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
