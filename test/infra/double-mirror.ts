/**
 * Makes .lab/infra: the package with AWS's schema (436 MB, downloaded once, never shipped), the double built from it, and a
 * folder from which terraform installs it as hashicorp/aws. Gives terraform's environment.
 */
import { execFile, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { readAwsSchema } from './aws-schema.ts'

const PACKAGE = '@cdktn/provider-aws@24.1.0'
const PROVIDER_VERSION = '6.45.0'
const root = fileURLToPath(new URL('../..', import.meta.url))
const lab = join(root, '.lab/infra')
const library = join(lab, 'node_modules/@cdktn/provider-aws/lib')

export type Terraform = {
  /** Output of both streams; the status is that of the program. */
  readonly run: (
    folder: string,
    ...args: readonly string[]
  ) => Promise<{ status: number | null; output: string }>
}

/** Throws what is missing: the program, or the package when there is no network. */
export function prepareTerraform(): Terraform {
  const found = spawnSync('terraform', ['version'], { encoding: 'utf8' })
  if (found.status !== 0) throw new Error('there is no terraform in PATH')
  installSchema()
  const hcl = globSync('infra/**/*.tf', { cwd: root }).map((file) =>
    readFileSync(join(root, file), 'utf8'),
  )
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const place = join(
    lab,
    `mirror/registry.terraform.io/hashicorp/aws/${PROVIDER_VERSION}/linux_${architecture}`,
  )
  const program = join(place, `terraform-provider-aws_v${PROVIDER_VERSION}`)
  rmSync(place, { recursive: true, force: true })
  mkdirSync(place, { recursive: true })
  const bundle = join(place, 'double.mjs')
  buildSync({
    entryPoints: [fileURLToPath(new URL('aws-double.ts', import.meta.url))],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'warning',
  })
  writeFileSync(join(place, 'schema.json'), JSON.stringify(readAwsSchema(library, hcl)))
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${bundle}'\n`)
  chmodSync(program, 0o755)
  const config = join(lab, 'terraformrc')
  writeFileSync(
    config,
    `provider_installation {\n  filesystem_mirror {\n    path = "${join(lab, 'mirror')}"\n  }\n}\n`,
  )
  const env = {
    ...process.env,
    TF_CLI_CONFIG_FILE: config,
    TF_IN_AUTOMATION: '1',
    CHECKPOINT_DISABLE: '1',
  }
  return {
    run: (folder, ...args) =>
      new Promise((resolve) => {
        const child = execFile(
          'terraform',
          [`-chdir=${folder}`, ...args],
          { env, timeout: 120_000, maxBuffer: 64 * 1024 * 1024 },
          (_, stdout, stderr) =>
            resolve({ status: child.exitCode, output: `${stdout}${stderr}` }),
        )
      }),
  }
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
