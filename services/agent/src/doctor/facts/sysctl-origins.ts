/**
 * Which file sets a sysctl at boot, by the rules of sysctl.d(5): folders override each other by file name, files
 * go in order of their names, the last line for a key wins; a key may hold a `*`.
 */
import type { HostReader } from './host-reader.ts'
import type { SysctlOrigin } from './facts.ts'

/** Earlier folders win over a file of the same name in later ones. */
const FOLDERS = ['/etc/sysctl.d', '/run/sysctl.d', '/usr/local/lib/sysctl.d', '/usr/lib/sysctl.d']
/** procps reads it last; systemd through the link 99-sysctl.conf. */
const LAST = '/etc/sysctl.conf'

export type SysctlFile = { readonly path: string; readonly text: string }

export async function readSysctlFiles(reader: HostReader): Promise<SysctlFile[]> {
  const byName = new Map<string, string>()
  for (const folder of FOLDERS) {
    for (const name of await reader.list(folder)) {
      if (name.endsWith('.conf') && !byName.has(name)) byName.set(name, `${folder}/${name}`)
    }
  }
  const sorted = [...byName].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path)
  const files: SysctlFile[] = []
  for (const path of [...sorted, LAST]) {
    const text = await reader.readText(path)
    if (text !== undefined) files.push({ path, text })
  }
  return files
}

/** For each of `keys` that a file sets: the last one that does. */
export function sysctlOrigins(
  files: readonly SysctlFile[],
  keys: Iterable<string>,
): Map<string, SysctlOrigin> {
  const lines = files.flatMap(({ path, text }) =>
    parseLines(text).map((line) => ({ path, ...line })),
  )
  const origins = new Map<string, SysctlOrigin>()
  for (const key of keys) {
    const last = lines.findLast(({ pattern }) => pattern.test(key))
    if (last !== undefined) origins.set(key, { file: last.path, value: last.value })
  }
  return origins
}

function parseLines(text: string): { pattern: RegExp; value: string }[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*-?\s*([a-zA-Z][\w./*:-]*)\s*=\s*(.*?)\s*$/.exec(line)
    const [, name, value] = match ?? []
    if (name === undefined || value === undefined) return []
    // Slashes may stand for dots; then dots are part of a device's name, which we cannot say anyway.
    const escaped = name.replaceAll('/', '.').replaceAll('.', '\\.').replaceAll('*', '[^.]+')
    return [{ pattern: new RegExp(`^${escaped}$`), value }]
  })
}
