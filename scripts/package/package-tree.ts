/**
 * What the agent's package holds: path → content and mode. Takes where the bundle and the machine code are; reads
 * nothing but the small files that are written here, so that the list can be looked at without building anything.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { AGENT_NODE_FLAGS, besideAgent } from '../build.ts'
import { NPM_ARCH, type Natives } from './natives.ts'
import type { Arch } from './elf.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const files = fileURLToPath(new URL('files', import.meta.url))

export type Entry = { readonly path: string; readonly mode: number } & (
  | { readonly text: string }
  | { readonly from: string }
)

export type Packed = {
  readonly version: string
  readonly arch: Arch
  /** The agent's bundle; the one with the AWS SDK lies beside it. */
  readonly bundle: string
  readonly natives: Natives
}

const LIB = '/usr/lib/lvsfleet'
export const NODE_PATH = `${LIB}/node`
const MODULES = `${LIB}/agent/node_modules`
const DOC = '/usr/share/doc/lvsfleet-agent'

/** Below the root of the machine; folders follow from them. */
export function packageTree({ version, arch, bundle, natives }: Packed): Entry[] {
  const machine = `linux-${NPM_ARCH[arch]}`
  const koffiBinary = `${machine.replace('-', '_')}/koffi.node`
  return [
    text('/etc/lvsfleet/agent.env', ownFile('agent.env'), 0o640),
    text('/lib/systemd/system/lvsfleet-agent.service', ownFile('lvsfleet-agent.service')),
    text(
      '/lib/systemd/system/lvsfleet-agent-probe.service',
      ownFile('lvsfleet-agent-probe.service'),
    ),
    text('/usr/bin/lvsfleet-agent', ownFile('lvsfleet-agent'), 0o755),
    text('/usr/lib/modules-load.d/lvsfleet-agent.conf', ownFile('modules-load.conf')),
    text('/usr/lib/sysctl.d/60-lvsfleet-agent.conf', ownFile('sysctl.conf')),
    text('/usr/lib/sysusers.d/lvsfleet-agent.conf', ownFile('sysusers.conf')),
    file(NODE_PATH, `${natives.node}/bin/node`, 0o755),
    file(`${LIB}/agent/lvsfleet-agent.mjs`, bundle),
    ...Object.entries(besideAgent(bundle)).map(([part, from]) =>
      file(`${LIB}/agent/lvsfleet-agent-${part}.mjs`, from),
    ),
    ...fromModules('netlink', ['package.json', `prebuilds/${machine}/node.napi.node`]),
    ...['package.json', 'index.js', koffiBinary].map((name) =>
      file(`${MODULES}/@koromix/koffi-${machine}/${name}`, `${natives.koffi}/${name}`),
    ),
    text(`${DOC}/copyright`, copyright(natives)),
    text(
      `${DOC}/changelog`,
      `lvsfleet-agent (${version})\n\n  * See the release notes of LVS Fleet ${version}.\n`,
    ),
    ...['install.md', 'versions.md'].map((name) => file(`${DOC}/${name}`, `${root}docs/${name}`)),
  ]
}

export const CONFFILES = ['/etc/lvsfleet/agent.env'] as const
export const MAINTAINER_SCRIPTS = ['postinst', 'prerm', 'postrm'] as const

/** `@NODE_FLAGS@` is what Node is told for the agent, wherever that runs. */
export function ownFile(name: string): string {
  return readFileSync(`${files}/${name}`, 'utf8').replaceAll(
    '@NODE_FLAGS@',
    AGENT_NODE_FLAGS.join(' '),
  )
}

function text(path: string, content: string, mode = 0o644): Entry {
  return { path, mode, text: content }
}

function file(path: string, from: string, mode = 0o644): Entry {
  return { path, mode, from }
}

function fromModules(name: string, names: readonly string[]): Entry[] {
  return names.map((part) =>
    file(`${MODULES}/${name}/${part}`, `${root}node_modules/${name}/${part}`),
  )
}

/** Machine-readable (DEP 5) as far as it is ours; then the licence of each part that lies in the package or the bundle. */
function copyright(natives: Natives): string {
  const parts: readonly [what: string, licence: string][] = [
    ['node', `${natives.node}/LICENSE`],
    ['netlink', `${root}node_modules/netlink/LICENSE`],
    ['koffi', `${root}node_modules/koffi/LICENSE.txt`],
    ['zod, in the bundle', `${root}node_modules/zod/LICENSE`],
  ]
  const own = [
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/',
    'Upstream-Name: LVS Fleet',
    '',
    'Files: *',
    'Copyright: the authors of LVS Fleet',
    'License: Apache-2.0',
    ' On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.',
    ' The packages of @aws-sdk and @smithy in lvsfleet-agent-aws.mjs have the same licence.',
    '',
  ].join('\n')
  const others = parts.map(([what, path]) => `== ${what}\n\n${readFileSync(path, 'utf8').trim()}\n`)
  return [own, ...others].join('\n')
}
