/** CPU and memory of a process from what /proc says about it. */

/** USER_HZ, 100 on every Linux that Node runs on. */
const TICK_MS = 10

/** User and system time of /proc/PID/stat, in ms. */
export function cpuMsOf(stat: string): number {
  // The command's name, in brackets, may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

/** A field of /proc/PID/status in MB. */
export function mbOf(status: string, field: 'VmRSS' | 'VmHWM'): number {
  const kb = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]
  return Number(kb) / 1_024
}
