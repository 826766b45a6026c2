/**
 * The text format of Prometheus, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats): families of
 * samples → text. Names follow its habits: base units, `_total` for what only grows. Pure.
 */

export type Sample = {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number | bigint
}

export type Family = {
  /** Without the prefix. */
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly samples: readonly Sample[]
}

export const PREFIX = 'lvsfleet_'

export function expositionOf(families: readonly Family[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, help, type, samples }) => {
      const full = `${PREFIX}${name}`
      const head = `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n`
      return head + samples.map((sample) => lineOf(full, sample)).join('')
    })
    .join('')
}

function lineOf(name: string, { labels, value }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`)
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
