// Makes `node` inside npm scripts the version this project pins, whatever Node the machine has.
// The binary comes from an optional package of the lock file; this links it where npm looks first.
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const modules = fileURLToPath(new URL('../node_modules', import.meta.url))
const packageName = `node-linux-${process.arch}`
const target = `${modules}/${packageName}/bin/node`
if (existsSync(target)) {
  mkdirSync(`${modules}/.bin`, { recursive: true })
  rmSync(`${modules}/.bin/node`, { force: true })
  symlinkSync(`../${packageName}/bin/node`, `${modules}/.bin/node`)
} else {
  console.warn(
    `${packageName} is not installed: npm scripts run on ${process.version}; Node 24 is needed`,
  )
}
