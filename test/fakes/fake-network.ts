/** What the fake kernel does with ops beside IPVS: devices, addresses, sysctls, GUE ports, tables of nftables. */
import {
  familyOf,
  guePortKey,
  hostPrefixLength,
  markKey,
  sourceNatKey,
  type MarkState,
  type Op,
} from '@lvs-fleet/contract'
import type { IpvsOp } from './fake-ipvs.ts'
import { addLink, linkIndexOf, type Failure, type KernelTables } from './kernel-tables.ts'

/** Undefined = done. */
export function performNetwork(tables: KernelTables, op: Exclude<Op, IpvsOp>): Failure | undefined {
  switch (op.kind) {
    case 'device.create': {
      const { device } = op
      if (tables.links.has(device.name)) return { code: 'EEXIST', message: 'exists' }
      if (device.kind === 'dummy') addLink(tables, device.name, 'dummy')
      else {
        const { name, kind, local, remote } = device
        // One device of a kind for two ends, whatever its other settings (ip_tunnel_find).
        for (const link of tables.links.values()) {
          if (link.kind === kind && link.local === local && link.remote === remote)
            return { code: 'EEXIST', message: 'exists' }
        }
        addLink(tables, name, kind, local, remote, 'checksum' in device && device.checksum)
      }
      tables.sysctls.set(`net.ipv4.conf.${device.name}.rp_filter`, '1')
      return undefined
    }
    case 'device.update': {
      const { device } = op
      const link = tables.links.get(device.name)
      if (link === undefined) return { code: 'ENODEV', message: 'no such device' }
      const checksum = 'checksum' in device && device.checksum
      tables.links.set(device.name, { ...link, checksum })
      return undefined
    }
    case 'gue-port.open': {
      const { address, port } = op.guePort
      const family = familyOf(address)
      for (const standing of tables.guePorts.values()) {
        const isSame = standing.port === port && standing.family === family
        if (isSame && (standing.address === null || standing.address === address))
          return { code: 'EADDRINUSE', message: 'address in use' }
      }
      tables.guePorts.set(guePortKey(op.guePort), { address, family, port, exact: true })
      return undefined
    }
    case 'gue-port.close':
      return tables.guePorts.delete(guePortKey(op.guePort))
        ? undefined
        : { code: 'EINVAL', message: 'no such port' }
    case 'device.remove': {
      const link = tables.links.get(op.device.name)
      if (link === undefined) return { code: 'ENODEV', message: 'no such device' }
      tables.links.delete(op.device.name)
      tables.sysctls.delete(`net.ipv4.conf.${op.device.name}.rp_filter`)
      for (let i = tables.addresses.length - 1; i >= 0; i--) {
        if (tables.addresses[i]?.linkIndex === link.index) tables.addresses.splice(i, 1)
      }
      return undefined
    }
    case 'address.add': {
      const linkIndex = linkIndexOf(tables, op.address.place)
      if (linkIndex === undefined) return { code: 'ENODEV', message: 'no interface for it' }
      const { address } = op.address
      const taken = tables.addresses.some(
        (held) => held.address === address && held.linkIndex === linkIndex,
      )
      if (taken) return { code: 'EEXIST', message: 'exists' }
      const deprecated = familyOf(address) === 'ipv6'
      tables.addresses.push({
        address,
        prefixLength: hostPrefixLength(address),
        linkIndex,
        deprecated,
      })
      return undefined
    }
    case 'address.remove': {
      const linkIndex = linkIndexOf(tables, op.address.place)
      if (linkIndex === undefined) return { code: 'ENODEV', message: 'no interface for it' }
      const { address } = op.address
      const at = tables.addresses.findIndex(
        (held) => held.address === address && held.linkIndex === linkIndex,
      )
      if (at === -1) return { code: 'EADDRNOTAVAIL', message: 'no such address' }
      tables.addresses.splice(at, 1)
      return undefined
    }
    case 'sysctl.set':
      if (!tables.sysctls.has(op.key)) return { code: 'ENOENT', message: 'no such sysctl' }
      tables.sysctls.set(op.key, op.to)
      return undefined
    case 'clamp.set':
      tables.clamps.set(op.clamp.address, op.clamp)
      return undefined
    case 'clamp.remove':
      return tables.clamps.delete(op.clamp.address)
        ? undefined
        : { code: 'ENOENT', message: 'no such clamp' }
    case 'mark.set': {
      const key = markKey(op.mark)
      const others = [...tables.marks].filter(([other]) => other !== key)
      if (others.some(([, other]) => overlap(other, op.mark))) {
        return { code: 'EEXIST', message: 'overlaps another element' }
      }
      tables.marks.set(key, op.mark)
      return undefined
    }
    case 'mark.remove':
      return tables.marks.delete(markKey(op.mark))
        ? undefined
        : { code: 'ENOENT', message: 'no such mark' }
    case 'source-nat.add':
      tables.sourceNats.set(sourceNatKey(op.sourceNat), op.sourceNat)
      return undefined
    case 'source-nat.remove':
      return tables.sourceNats.delete(sourceNatKey(op.sourceNat))
        ? undefined
        : { code: 'ENOENT', message: 'no such source nat' }
  }
}

function overlap(a: MarkState, b: MarkState): boolean {
  return (
    a.protocol === b.protocol &&
    a.address === b.address &&
    a.ports.from <= b.ports.to &&
    b.ports.from <= a.ports.to
  )
}
