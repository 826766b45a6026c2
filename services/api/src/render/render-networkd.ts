/**
 * A real server as files for systemd-networkd (systemd.netdev(5), systemd.network(5)): a script that writes and loads
 * them, or takes them back. What networkd has no words for (MSS clamps, the checksum of GRE) is left to our own
 * script in a unit, and so are GUE ports: the kernel refuses those of systemd 252 (ERANGE). Directors cannot be said so: their VIPs go to the interface that holds another address, and
 * networkd knows interfaces by name only.
 */
import {
  EMPTY_HOST_STATE,
  familyOf,
  hostPrefixLength,
  type DeviceState,
  type HostState,
  type Ip,
  type Role,
} from '@lvs-fleet/contract'
import { bootFiles, unitName, type RenderedFile } from './boot-unit.ts'
import { renderScript } from './render-script.ts'

type Host = { readonly name: string; readonly role: Role }

const FOLDER = '/etc/systemd/network'

export function renderNetworkd(
  host: Host,
  state: HostState,
): { readonly ok: true; readonly text: string } | { readonly ok: false; readonly why: string } {
  const placeless = state.addresses.find(({ place }) => !('device' in place))
  if (placeless !== undefined || state.services.length > 0) {
    const why = `${host.role} ${host.name} has virtual services, or addresses such as ${placeless?.address ?? 'its VIPs'} beside others of its own: systemd-networkd needs the name of the interface, which the intent does not have. Take format shell or cloud-init`
    return { ok: false, why }
  }
  const rest = restOf(state)
  const files = [...networkFiles(state), ...systemFiles(host, state)]
  const restFiles = isEmpty(rest)
    ? []
    : bootFiles(
        host.name,
        `what systemd-networkd cannot say of ${host.name}`,
        renderScript(host, rest),
      )
  return { ok: true, text: archive(host, state, { files, restFiles }) }
}

/** What networkd has no setting for. Devices made here carry no address there: the script gives them theirs. */
function restOf(state: HostState): HostState {
  const devices = state.devices.filter(hasChecksum)
  const names = new Set(devices.map(({ name }) => name))
  const addresses = state.addresses.filter(
    ({ place }) => 'device' in place && names.has(place.device),
  )
  const { guePorts, clamps } = state
  return { ...EMPTY_HOST_STATE, devices, guePorts, addresses, clamps }
}

function hasChecksum(device: DeviceState): boolean {
  return 'checksum' in device && device.checksum
}

function isEmpty(state: HostState): boolean {
  const { devices, guePorts, clamps } = state
  return devices.length + guePorts.length + clamps.length === 0
}

function networkFiles(state: HostState): readonly RenderedFile[] {
  const devices = state.devices.filter((device) => !hasChecksum(device))
  return devices.flatMap((device) => [
    file(`${FOLDER}/50-${device.name}.netdev`, netdevLines(device)),
    file(`${FOLDER}/50-${device.name}.network`, networkLines(device.name, state)),
  ])
}

function systemFiles({ name }: Host, state: HostState): readonly RenderedFile[] {
  const sysctls = state.sysctls.map(({ key, value, accept }) => {
    const others = accept.filter((accepted) => accepted !== value)
    const note = others.length === 0 ? '' : `# ${others.join(' or ')} would do as well\n`
    // The dash: no error while the device is not there; udev sets it when it comes.
    return `${note}-${key} = ${value}`
  })
  return sysctls.length === 0 ? [] : [file(`/etc/sysctl.d/90-lvsfleet-${name}.conf`, sysctls)]
}

function netdevLines(device: DeviceState): readonly string[] {
  const head = ['[NetDev]', `Name=${device.name}`, `Kind=${device.kind}`]
  if (device.kind === 'dummy') return head
  const tunnel = [
    '',
    '[Tunnel]',
    `Local=${device.local}`,
    `Remote=${device.remote}`,
    'TTL=64',
    'Independent=yes',
  ]
  if (device.kind === 'ip6tnl') tunnel.push('Mode=any')
  if (familyOf(device.local) === 'ipv6') tunnel.push('EncapsulationLimit=none')
  return [...head, ...tunnel]
}

function networkLines(device: string, state: HostState): readonly string[] {
  const addresses = state.addresses.flatMap(({ address, place }) =>
    'device' in place && place.device === device ? addressLines(address) : [],
  )
  const network = ['[Network]', 'LinkLocalAddressing=no', 'ConfigureWithoutCarrier=yes']
  return ['[Match]', `Name=${device}`, '', ...network, ...addresses]
}

/** As the agent sets them: usable at once, and an IPv6 one never picked as a source. */
function addressLines(address: Ip): readonly string[] {
  const lines = ['', '[Address]', `Address=${address}/${hostPrefixLength(address)}`]
  if (familyOf(address) === 'ipv4') return lines
  return [...lines, 'PreferredLifetime=0', 'DuplicateAddressDetection=none']
}

function file(path: string, lines: readonly string[]): RenderedFile {
  return { path, mode: '0644', content: `${lines.join('\n')}\n` }
}

type Files = {
  readonly files: readonly RenderedFile[]
  readonly restFiles: readonly RenderedFile[]
}

function archive(host: Host, state: HostState, { files, restFiles }: Files): string {
  const all = [...files, ...restFiles]
  const unit = restFiles.length === 0 ? undefined : unitName(host.name)
  return `${[
    '#!/bin/sh',
    `# LVS Fleet: ${host.role} ${host.name} for systemd-networkd. Write and load: sh FILE. Take back: sh FILE remove.`,
    '# Sysctls keep their values when it is taken back, until the next boot.',
    'set -eu',
    '',
    'setup() {',
    ...all.flatMap(writeLines),
    'systemctl restart systemd-sysctl',
    'networkctl reload',
    ...(unit === undefined ? [] : ['systemctl daemon-reload', `systemctl enable --now ${unit}`]),
    '}',
    '',
    'remove() {',
    ...(unit === undefined ? [] : [`systemctl disable --now ${unit} || true`]),
    ...all.map(({ path }) => `rm -f ${path}`),
    'networkctl reload || true',
    ...state.devices.toReversed().map(({ name }) => `ip link del ${name} 2>/dev/null || true`),
    '}',
    '',
    'case "${1:-setup}" in',
    '  setup) setup ;;',
    '  remove) remove ;;',
    '  *) echo "usage: sh $0 [setup|remove]" >&2; exit 2 ;;',
    'esac',
  ].join('\n')}\n`
}

/** Content of ours never has this line. */
const END = 'END_OF_LVSFLEET_FILE'

function writeLines({ path, mode, content }: RenderedFile): readonly string[] {
  const folder = path.slice(0, path.lastIndexOf('/'))
  return [
    `mkdir -p ${folder}`,
    `cat > ${path} <<'${END}'`,
    content.trimEnd(),
    END,
    `chmod ${mode} ${path}`,
  ]
}
