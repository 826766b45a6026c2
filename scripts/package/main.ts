/**
 * `npm run package`: dist/lvsfleet-agent_VERSION_ARCH.deb, SHA256SUMS and install.sh.
 *
 *   npm run package                              for this machine
 *   npm run package -- --arch amd64,arm64        for others too; their machine code is fetched by npm
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { VERSION } from '@lvs-fleet/contract'
import { buildAgent } from '../build.ts'
import { packageAgent, writeChecksums } from './agent-package.ts'
import type { Arch } from './elf.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

const { values } = parseArgs({
  options: { arch: { type: 'string', default: process.arch === 'arm64' ? 'arm64' : 'amd64' } },
})
const outdir = join(root, 'dist')
const bundle = await buildAgent()
const packages = values.arch.split(',').map((name) =>
  packageAgent({
    version: VERSION,
    arch: archOf(name),
    bundle,
    outdir,
    epoch: epochOf(),
    compression: ['xz', 3],
  }),
)
const installer = join(outdir, 'install.sh')
rmSync(installer, { force: true })
copyFileSync(join(root, 'scripts/package/install.sh'), installer)
chmodSync(installer, 0o755)
for (const path of packages)
  console.log(`${path} (${(statSync(path).size / 2 ** 20).toFixed(1)} MiB)`)
console.log(writeChecksums(packages, outdir))
console.log(installer)

function archOf(name: string): Arch {
  if (name === 'amd64' || name === 'arm64') return name
  throw new Error(`--arch: ${name} is neither amd64 nor arm64`)
}

/** SOURCE_DATE_EPOCH where it is given, else when the commit was made. */
function epochOf(): number {
  const given = process.env['SOURCE_DATE_EPOCH']
  const text = given ?? execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root })
  return Number(String(text).trim())
}
