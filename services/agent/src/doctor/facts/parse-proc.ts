/** Texts of /proc as data: counters of netstat and snmp, and programs that manage IPVS. Pure. */
import type { ManagerProcess } from './facts.ts'

/** `Name: key key …` and `Name: value value …`, line by line, as in /proc/net/snmp and netstat. */
export function parseCounters(text: string): Map<string, number> {
  const counters = new Map<string, number>()
  const lines = text.split('\n')
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const [group = '', ...names] = (lines[i] ?? '').split(' ')
    const [, ...values] = (lines[i + 1] ?? '').split(' ')
    for (const [n, name] of names.entries()) {
      counters.set(`${group.replace(':', '')}${name}`, Number(values[n] ?? 0))
    }
  }
  return counters
}

/** Programs known to write IPVS tables. */
const MANAGERS = new Set(['kube-proxy', 'keepalived', 'ldirectord', 'seesaw_engine', 'seesaw_ncc'])

/**
 * The manager behind a command line of /proc/PID/cmdline (NUL between words); a script's interpreter comes
 * first, so the second word counts too. kube-proxy only touches IPVS when it is told so.
 */
export function managerOf(pid: number, commandLine: string): ManagerProcess | undefined {
  const words = commandLine.split('\0').filter((word) => word !== '')
  const name = words
    .slice(0, 2)
    .map((word) => word.split('/').at(-1)?.replace(/:$/, '') ?? '')
    .find((word) => MANAGERS.has(word))
  if (name === undefined) return undefined
  if (name === 'kube-proxy' && words.includes('--proxy-mode=iptables')) return undefined
  return { name, pid }
}
