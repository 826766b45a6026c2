// Makes a fresh checkout ready, on whatever Node the machine has: the packages of the lock file,
// the pinned Node, and (with lab = true) what the kernel lab needs. Quick when all is there already.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const stamp = `${root}node_modules/.lvs-fleet-lock`

/** Returns the path of the pinned Node; ends the process with one line when something cannot be set up. */
export function setup({ lab }) {
  installPackages()
  const node = `${root}node_modules/.bin/node`
  if (!existsSync(node))
    fail(
      `no Node 24 for ${process.platform}-${process.arch}: install Node 24 and run the scripts with it`,
    )
  if (lab) {
    const words = [`${root}scripts/setup-lab.mjs`, process.env.LAB_ENGINE ?? '']
    const done = spawnSync(node, words, { stdio: 'inherit' })
    if (done.status !== 0) process.exit(done.status ?? 1)
  }
  return node
}

/**
 * The versions of the lock file, which stays as it is. Not `npm ci`: tools ship one optional package per
 * platform, and where a registry does not carry all of them, `npm ci` takes the lock file for incomplete.
 */
function installPackages() {
  const lock = createHash('sha256')
    .update(readFileSync(`${root}package-lock.json`))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  const isThere = existsSync(`${root}node_modules/.package-lock.json`)
  console.error(isThere ? 'checking packages' : 'installing packages, about half a minute')
  const options = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error']
  const done = spawnSync('npm', ['install', ...options], { cwd: root, stdio: ['ignore', 2, 2] })
  if (done.status !== 0) fail('npm install failed: see above')
  writeFileSync(stamp, lock)
}

function fail(why) {
  console.error(why)
  process.exit(1)
}
