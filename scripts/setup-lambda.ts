/**
 * Gets the real runtime client of Lambda, aws-lambda-ric, into .lab/lambda: a package that compiles curl and a native
 * addon for about four minutes, so only the layer `lambda` asks for it. Gives the variables of its tests.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const CLIENT = 'aws-lambda-ric@3.3.0'
const DEBIAN_PACKAGES = ['autoconf', 'automake', 'libtool', 'cmake', 'make', 'g++']
const folder = fileURLToPath(new URL('../.lab/lambda', import.meta.url))
const installed = `${folder}/node_modules/aws-lambda-ric`

export function setupLambda(): Record<string, string> {
  if (!existsSync(`${installed}/dist/rapid-client.node`)) install()
  return { LVSFLEET_LAMBDA_CLIENT: `${installed}/bin/index.mjs` }
}

function install(): void {
  mkdirSync(folder, { recursive: true })
  const missing = DEBIAN_PACKAGES.filter((name) => !existsSync(`/var/lib/dpkg/info/${name}.list`))
  if (missing.length > 0) {
    const command = `apt-get update -q && apt-get install -yq --no-install-recommends ${missing.join(' ')}`
    if (process.getuid?.() !== 0)
      fail(`${CLIENT} is compiled here. Run:\n\n  sudo sh -c '${command}'\n`)
    run(['sh', '-c', command], 'Debian packages cannot be installed: is there a network?')
  }
  writeFileSync(`${folder}/package.json`, '{ "private": true }\n')
  console.error(`compiling ${CLIENT}, about four minutes`)
  const npm = ['npm', 'install', '--no-save', '--loglevel=error', CLIENT]
  run(npm, `${CLIENT} cannot be installed: is there a network?`)
}

function run([command = '', ...args]: readonly string[], why: string): void {
  const done = spawnSync(command, args, { cwd: folder, stdio: ['ignore', 2, 2] })
  if (done.status !== 0) fail(why)
}

function fail(why: string): never {
  console.error(why)
  process.exit(1)
}
