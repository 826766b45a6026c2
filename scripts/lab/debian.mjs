// Packages of a Debian release that need not be this machine's: fetched and verified by apt with lists of its own, so
// that nothing of the machine changes and nobody has to be root.
import * as fs from 'node:fs'
import { join } from 'node:path'
import { run, say } from './tell.mjs'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
const ARCHIVE = 'http://deb.debian.org'

/** `work` gets `newest` (what a package that stands for the newest one depends on) and `unpack` (packages into a folder). */
export function withDebian(release, folder, work) {
  const apt = join(folder, `apt-${release}`)
  // A run that was cut off may have left packages.
  fs.rmSync(apt, { recursive: true, force: true })
  for (const name of ['lists/partial', 'cache/archives/partial'])
    fs.mkdirSync(join(apt, name), { recursive: true })
  const signed = `deb [signed-by=${KEYRING}] ${ARCHIVE}`
  fs.writeFileSync(
    join(apt, 'sources.list'),
    `${signed}/debian ${release} main\n${signed}/debian-security ${release}-security main\n`,
  )
  const options = [
    `Dir::Etc::sourcelist=${apt}/sources.list`,
    'Dir::Etc::sourceparts=-',
    `Dir::State::lists=${apt}/lists`,
    `Dir::Cache=${apt}/cache`,
    'Acquire::Languages=none',
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option])
  say(`reading the lists of Debian ${release}`)
  run('apt-get', [...options, 'update', '-q'])
  const done = work({
    newest: (name) =>
      /^\s*Depends: (\S+)/m.exec(run('apt-cache', [...options, 'depends', name]))?.[1],
    unpack: (names, to) => {
      say(`downloading ${names.join(', ')}`)
      run('apt-get', [...options, 'download', '-q', ...names], { cwd: apt })
      for (const file of fs.readdirSync(apt).filter((name) => name.endsWith('.deb')))
        run('dpkg-deb', ['-x', join(apt, file), to])
    },
  })
  fs.rmSync(apt, { recursive: true })
  return done
}
