/**
 * The text format of Prometheus, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats): families of
 * samples → text. Names follow its habits: base units, `_total` for what only grows. Pure.
 */

export type MetricSample = {
  /** Of a histogram: `_bucket`, `_sum` or `_count`. */
  readonly suffix?: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number | bigint
}

export type MetricFamily = {
  /** Without the prefix, which names of the process itself have not. */
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly samples: readonly MetricSample[]
}

const PREFIX = 'lvsfleet_'

export function expositionOf(families: readonly MetricFamily[], prefix = PREFIX): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, help, type, samples }) => {
      const full = `${prefix}${name}`
      const head = `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n`
      return head + samples.map((sample) => lineOf(full, sample)).join('')
    })
    .join('')
}

function lineOf(name: string, { labels, value, suffix = '' }: MetricSample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`)
  return `${name}${suffix}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
