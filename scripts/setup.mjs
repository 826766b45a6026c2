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
    const done = spawnSync(node, [`${root}scripts/setup-lab.mjs`], { stdio: 'inherit' })
    if (done.status !== 0) process.exit(done.status ?? 1)
  }
  return node
}

function installPackages() {
  const lock = createHash('sha256')
    .update(readFileSync(`${root}package-lock.json`))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  console.error('installing packages (npm ci), about half a minute')
  const done = spawnSync('npm', ['ci', '--loglevel=error'], { cwd: root, stdio: ['ignore', 2, 2] })
  if (done.status !== 0) fail('npm ci failed: see above')
  writeFileSync(stamp, lock)
}

function fail(why) {
  console.error(why)
  process.exit(1)
}
