// User-Mode Linux of Debian 13 in .lab/uml: kernel 6.12, which maps several pages at a time into a process where 6.1 takes
// a switch between host processes for each one. It is linked to a newer C library than Debian 12 has, so it brings its own.
import * as fs from 'node:fs'
import { join } from 'node:path'
import { withDebian } from './debian.mjs'
import { fail } from './tell.mjs'

const INTERPRETER = '/lib64/ld-linux-x86-64.so.2'
/** As long at most; from the folder that it is started in. */
const OWN_INTERPRETER = 'lib/ld-linux-x86-64.so.2'
const LIBRARIES = ['ld-linux-x86-64.so.2', 'libc.so.6']

export function setupUml({ labDir }) {
  const dir = join(labDir, 'uml')
  if (fs.existsSync(dir)) return
  const packages = join(labDir, 'uml.packages')
  const fresh = join(labDir, 'uml.new')
  for (const old of [packages, fresh]) fs.rmSync(old, { recursive: true, force: true })
  withDebian('trixie', labDir, ({ unpack }) => unpack(['user-mode-linux', 'libc6'], packages))
  fs.mkdirSync(join(fresh, 'lib'), { recursive: true })
  for (const name of LIBRARIES)
    fs.copyFileSync(join(packages, 'usr/lib/x86_64-linux-gnu', name), join(fresh, 'lib', name))
  fs.renameSync(join(packages, 'usr/lib/uml/modules'), join(fresh, 'modules'))
  const kernel = join(fresh, 'linux')
  fs.writeFileSync(kernel, withOwnInterpreter(fs.readFileSync(join(packages, 'usr/bin/linux.uml'))))
  fs.chmodSync(kernel, 0o755)
  fs.rmSync(packages, { recursive: true })
  fs.renameSync(fresh, dir)
}

/** The same program, started with the C library that lies beside it. */
function withOwnInterpreter(program) {
  const at = program.indexOf(`${INTERPRETER}\0`)
  if (at < 0) fail(`User-Mode Linux is not linked to ${INTERPRETER} any more`)
  const bytes = Buffer.from(program)
  bytes.fill(0, at, at + INTERPRETER.length)
  bytes.write(OWN_INTERPRETER, at, 'latin1')
  return bytes
}
