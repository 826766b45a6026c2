/** What every finding about a sysctl says: value, wanted value, which file sets it at boot, the command. */
import type { Facts } from '../facts/facts.ts'

export function sysctlText(facts: Facts, key: string): string {
  const origin = facts.sysctlOrigins.get(key)
  const value = facts.sysctls.get(key) ?? 'absent'
  return origin === undefined
    ? `${key} = ${value}`
    : `${key} = ${value} (${origin.file} sets ${origin.value} at boot)`
}

/** `sysctl -w`, and the file to mend where one would bring the old value back. */
export function sysctlCommands(facts: Facts, key: string, value: string): string[] {
  const origin = facts.sysctlOrigins.get(key)
  const set = `sysctl -w ${key}=${value}`
  if (origin === undefined || origin.value === value) return [set]
  return [set, `# and in ${origin.file}: ${key} = ${value}`]
}

/** The kernel takes the larger of `all` and the device's own value for arp_ignore, arp_announce and rp_filter (ip-sysctl.rst). */
export function effective(facts: Facts, device: string, name: string): number | undefined {
  const all = facts.sysctls.get(`net.ipv4.conf.all.${name}`)
  const own = facts.sysctls.get(`net.ipv4.conf.${device}.${name}`)
  if (all === undefined && own === undefined) return undefined
  return Math.max(Number(all ?? 0), Number(own ?? 0))
}
