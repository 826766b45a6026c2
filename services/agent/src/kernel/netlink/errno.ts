/** Error numbers of the kernel as names: the kernel answers -ESRCH, people and outcomes say `ESRCH`. */
import { constants } from 'node:os'

/** Names that share a number with another one, and would win by their order in os.constants. */
const ALIASES = new Set(['EWOULDBLOCK', 'EOPNOTSUPP'])

const nameByNumber = new Map(
  Object.entries(constants.errno)
    .filter(([name]) => !ALIASES.has(name))
    .map(([name, number]) => [number, name]),
)

/** ENOTSUPP of include/linux/errno.h: internal to the kernel, yet it leaks out of some subsystems. */
const ENOTSUPP = 524

/** `ESRCH` for 3 or -3; `E9999` for a number that has no name here. */
export function errnoName(errno: number): string {
  const number = Math.abs(errno)
  if (number === ENOTSUPP) return 'ENOTSUP'
  return nameByNumber.get(number) ?? `E${number}`
}

const EXPLANATIONS: ReadonlyMap<string, string> = new Map([
  ['EPERM', 'not permitted: the agent needs CAP_NET_ADMIN'],
  ['EACCES', 'not permitted'],
  ['EEXIST', 'exists already'],
  ['ENOENT', 'no such object or module'],
  ['ESRCH', 'no such virtual service'],
  ['ENODEV', 'no such device'],
  ['EADDRNOTAVAIL', 'no such address'],
  ['EADDRINUSE', 'address and port are taken by somebody else'],
  ['EINVAL', 'refused as invalid'],
  ['ERANGE', 'value out of range'],
  ['ENOTSUP', 'not supported by this kernel'],
  ['ENOMEM', 'out of memory'],
  ['EBUSY', 'busy'],
])

/** What to tell people where the kernel gave no text of its own. */
export function explainErrno(code: string): string {
  return EXPLANATIONS.get(code) ?? 'refused by the kernel'
}
