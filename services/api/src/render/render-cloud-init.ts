/**
 * A host state as cloud-init user data: the same script as `render` gives, written to disk with a unit that runs it
 * at each boot, and the packages that it needs.
 */
import type { HostState, Role } from '@lvs-fleet/contract'
import { bootFiles, unitName, type RenderedFile } from './boot-unit.ts'
import { renderScript } from './render-script.ts'

export function renderCloudInit(
  host: { readonly name: string; readonly role: Role },
  state: HostState,
): string {
  const files = bootFiles(host.name, `${host.role} ${host.name}`, renderScript(host, state))
  return `${[
    '#cloud-config',
    'packages:',
    ...packagesOf(state).map((name) => `  - ${name}`),
    'write_files:',
    ...files.flatMap(writeFile),
    'runcmd:',
    '  - [systemctl, daemon-reload]',
    `  - [systemctl, enable, --now, ${unitName(host.name)}]`,
  ].join('\n')}\n`
}

/** By the names of Debian, which Ubuntu and Fedora share. */
function packagesOf(state: HostState): readonly string[] {
  const packages = ['iproute2', 'kmod']
  if (state.clamps.length > 0) packages.push('nftables')
  if (state.services.length > 0) packages.push('ipvsadm')
  return packages
}

/** A literal block scalar: the content as it is, indented. */
function writeFile({ path, mode, content }: RenderedFile): readonly string[] {
  const lines = content.trimEnd().split('\n')
  return [
    `  - path: ${path}`,
    `    permissions: '${mode}'`,
    '    content: |',
    ...lines.map((line) => (line === '' ? '' : `      ${line}`)),
  ]
}
