/**
 * A host state as a readable shell script, for hosts without an agent: `sh FILE` sets it up, `sh FILE remove`
 * takes it back. Running it twice changes nothing. Same content as the agent applies, in the same order.
 */
import {
  assertNever,
  familyOf,
  hostPrefixLength,
  type AddressState,
  type ClampState,
  type DeviceState,
  type GuePortState,
  type HostState,
  type AddressPlace,
  type MarkState,
  type Role,
  type SourceNatState,
  type SysctlState,
} from '@lvs-fleet/contract'
import {
  ipvsAddLines,
  ipvsRemoveLines,
  syncStartLines,
  syncStopLines,
  timeoutLines,
} from './ipvsadm-lines.ts'

export function renderScript(
  host: { readonly name: string; readonly role: Role },
  state: HostState,
): string {
  return `${[
    '#!/bin/sh',
    `# LVS Fleet: ${host.role} ${host.name}. Set up: sh FILE. Take back: sh FILE remove.`,
    '# Not kept over a reboot: run it from a unit that starts after the network is up.',
    'set -eu',
    '',
    '# Previous values of sysctls, until `remove` or a reboot.',
    `saved=/run/lvsfleet-${host.name}.sysctls`,
    ...helpers(),
    '',
    'setup() {',
    ...indent(setupLines(state)),
    '}',
    '',
    'remove() {',
    ...indent(removeLines(state)),
    '}',
    '',
    'case "${1:-setup}" in',
    '  setup) setup ;;',
    '  remove) remove ;;',
    '  *) echo "usage: sh $0 [setup|remove]" >&2; exit 2 ;;',
    'esac',
  ].join('\n')}\n`
}

function helpers(): string[] {
  return [
    '# set_sysctl KEY VALUE ACCEPTED...: leaves an accepted value alone, remembers what was there.',
    'set_sysctl() {',
    '  key=$1; value=$2; shift 2',
    '  file=/proc/sys/$(echo "$key" | tr ./ /.)',
    '  current=$(cat "$file")',
    '  for accepted in "$@"; do [ "$current" = "$accepted" ] && return 0; done',
    '  echo "$key $current" >> "$saved"',
    '  echo "$value" > "$file"',
    '}',
    '# add_device NAME ARGUMENTS...',
    'add_device() {',
    '  name=$1; shift',
    '  if ip link show "$name" >/dev/null 2>&1; then',
    '    case $2 in gre | ip6gre) ip link set "$name" "$@" ;; esac',
    '  else',
    '    ip link add "$name" "$@"',
    '  fi',
    '  ip link set "$name" up',
    '}',
    '# open_gue PORT FAMILY-AND-ADDRESS...: the module has no alias, so nothing loads it by itself.',
    'open_gue() {',
    '  modprobe fou 2>/dev/null || true',
    '  port=$1; shift',
    `  ip fou show | sed 's/ *$//' | grep -qxF "port $port gue $*" && return 0`,
    '  ip fou add port "$port" gue "$@"',
    '}',
  ]
}

function setupLines(state: HostState): string[] {
  const lines = [
    ...state.devices.map((device) => `add_device ${device.name} ${deviceArguments(device)}`),
    ...state.guePorts.map((guePort) => `open_gue ${guePort.port} ${guePortEnds(guePort)}`),
    ...state.sysctls.map(sysctlLine),
    ...saveTimeouts(state),
    ...timeoutLines(state.timeouts),
    ...state.addresses.map((address) => addressLine('replace', address)),
    ...sourceNatLines(state.sourceNats),
    ...state.services.flatMap(ipvsAddLines),
    ...tableLines(state),
    ...state.syncDaemons.flatMap((daemon) => syncStartLines(daemon, deviceText(daemon.place))),
  ]
  return lines.length === 0 ? ['echo "nothing to set up on this host"'] : lines
}

/** The reverse of setup, each step harmless where its object is gone already. */
function removeLines(state: HostState): string[] {
  const names = new Set(state.devices.map((device) => device.name))
  const elsewhere = state.addresses.filter(
    ({ place }) => !('device' in place && names.has(place.device)),
  )
  return [
    ...state.syncDaemons.flatMap(syncStopLines),
    ...state.services.flatMap(ipvsRemoveLines),
    ...sourceNatFamilies(state.sourceNats).map(
      ([family]) => `nft delete table ${family} lvsfleet-nat 2>/dev/null || true`,
    ),
    ...tableFamilies(state).map(
      ([family]) => `nft delete table ${family} lvsfleet 2>/dev/null || true`,
    ),
    ...restoreTimeouts(state),
    ...elsewhere.map((address) => `${addressLine('del', address)} 2>/dev/null || true`),
    ...state.guePorts.map(
      (guePort) => `ip fou del port ${guePort.port} ${guePortEnds(guePort)} 2>/dev/null || true`,
    ),
    ...state.devices.toReversed().map((device) => `ip link del ${device.name} 2>/dev/null || true`),
    '[ ! -f "$saved" ] || while read -r key value; do',
    '  file=/proc/sys/$(echo "$key" | tr ./ /.)',
    '  [ ! -e "$file" ] || echo "$value" > "$file"',
    'done < "$saved"',
    'rm -f "$saved"',
  ]
}

function deviceArguments(device: DeviceState): string {
  switch (device.kind) {
    case 'dummy':
      return 'type dummy'
    case 'ipip':
    case 'sit':
      return `type ${device.kind} local ${device.local} remote ${device.remote} ttl 64`
    case 'ip6tnl':
      return `type ip6tnl mode any local ${device.local} remote ${device.remote} ttl 64 encaplimit none`
    case 'gre':
      return `type gre local ${device.local} remote ${device.remote} ttl 64${checksumOption(device)}`
    case 'ip6gre':
      return `type ip6gre local ${device.local} remote ${device.remote} ttl 64 encaplimit none${checksumOption(device)}`
    default:
      return assertNever(device)
  }
}

/** Of what comes in; nothing is sent through it. */
function checksumOption({ checksum }: { readonly checksum: boolean }): string {
  return checksum ? ' icsum' : ' noicsum'
}

/** As `ip fou` takes and prints them. */
function guePortEnds({ address }: GuePortState): string {
  return familyOf(address) === 'ipv6' ? `-6 local ${address}` : `local ${address}`
}

/** `{10.1.0.10}` is the interface that holds this address. */
function keyText(key: string): string {
  const [whole, holding = ''] = /\{(.+)\}/.exec(key) ?? []
  if (whole === undefined) return key
  const device = `$(ip -o addr show to ${holding} | awk '{gsub(/\\./, "/", $2); print $2; exit}')`
  return `"${key.replace(whole, () => device)}"`
}

function sysctlLine({ key, value, accept }: SysctlState): string {
  // Some hold several numbers with tabs between them.
  return [
    'set_sysctl',
    keyText(key),
    ...[value, ...accept].map((one) => (one.includes('\t') ? `"${one}"` : one)),
  ].join(' ')
}

function addressLine(verb: 'replace' | 'del', { address, place }: AddressState): string {
  const options = verb === 'replace' && familyOf(address) === 'ipv6' ? ' nodad preferred_lft 0' : ''
  return `ip addr ${verb} ${address}/${hostPrefixLength(address)} dev ${deviceText(place)}${options}`
}

function deviceText(place: AddressPlace): string {
  return 'device' in place
    ? place.device
    : `"$(ip -o addr show to ${place.holding} | awk '{print $2; exit}')"`
}

type FamilyTable = {
  readonly clamps: readonly ClampState[]
  readonly marks: readonly MarkState[]
}

/**
 * Answers from a VIP announce an MSS that fits the tunnel, else uploads hang after the handshake. Packets of many
 * ports get the mark that names their service.
 */
function tableLines(state: HostState): string[] {
  return tableFamilies(state).flatMap(([family, { clamps, marks }]) => [
    `nft delete table ${family} lvsfleet 2>/dev/null || true`,
    `nft add table ${family} lvsfleet`,
    ...(clamps.length === 0
      ? []
      : [
          `nft add chain ${family} lvsfleet output '{ type filter hook output priority mangle; }'`,
          ...clamps.map(
            ({ address, mss }) =>
              `nft add rule ${family} lvsfleet output ${family} saddr ${address} tcp flags syn tcp option maxseg size set ${mss}`,
          ),
        ]),
    ...(marks.length === 0
      ? []
      : [
          `nft add chain ${family} lvsfleet marking '{ type filter hook prerouting priority mangle; }'`,
          ...marks.map(
            ({ protocol, address, ports, mark }) =>
              `nft add rule ${family} lvsfleet marking ${family} daddr ${address} ${protocol} dport ${ports.from === ports.to ? ports.from : `${ports.from}-${ports.to}`} meta mark set ${mark}`,
          ),
        ]),
  ])
}

/** Families of which there is anything to say. */
function tableFamilies({ clamps, marks }: HostState): (readonly ['ip' | 'ip6', FamilyTable])[] {
  const ofFamily = (family: 'ipv4' | 'ipv6'): FamilyTable => ({
    clamps: clamps.filter(({ address }) => familyOf(address) === family),
    marks: marks.filter(({ address }) => familyOf(address) === family),
  })
  return ([['ip', ofFamily('ipv4')] as const, ['ip6', ofFamily('ipv6')] as const] as const).filter(
    ([, table]) => table.clamps.length + table.marks.length > 0,
  )
}

/** What `ipvsadm -L --timeout` says before the first run: `Timeout (tcp tcpfin udp): 900 120 300`. */
function saveTimeouts({ timeouts }: HostState): string[] {
  if (timeouts.length === 0) return []
  return [
    `[ -f "$saved.timeouts" ] || ipvsadm -L --timeout | sed -n 's/^Timeout (tcp tcpfin udp): //p' > "$saved.timeouts"`,
  ]
}

function restoreTimeouts({ timeouts }: HostState): string[] {
  if (timeouts.length === 0) return []
  return [
    '[ ! -f "$saved.timeouts" ] || ipvsadm --set $(cat "$saved.timeouts")',
    'rm -f "$saved.timeouts"',
  ]
}

/** What IPVS sends from one of these VIPs to one of these real servers leaves with an address of this host. */
function sourceNatLines(pairs: readonly SourceNatState[]): string[] {
  return sourceNatFamilies(pairs).flatMap(([family, list]) => [
    `nft delete table ${family} lvsfleet-nat 2>/dev/null || true`,
    `nft add table ${family} lvsfleet-nat`,
    `nft add chain ${family} lvsfleet-nat source '{ type nat hook postrouting priority srcnat; }'`,
    ...list.map(
      ({ vip, server }) =>
        `nft add rule ${family} lvsfleet-nat source ct original ${family} daddr ${vip} ${family} daddr ${server} masquerade`,
    ),
  ])
}

function sourceNatFamilies(
  pairs: readonly SourceNatState[],
): (readonly ['ip' | 'ip6', SourceNatState[]])[] {
  const four = pairs.filter(({ vip }) => familyOf(vip) === 'ipv4')
  const six = pairs.filter(({ vip }) => familyOf(vip) === 'ipv6')
  return ([['ip', four] as const, ['ip6', six] as const] as const).filter(
    ([, list]) => list.length > 0,
  )
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`)
}
