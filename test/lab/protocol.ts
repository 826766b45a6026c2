// What host and guest say to each other over the channel: the arguments and results of each request.
// Both ends run the same checkout, so plain types are enough; nothing is parsed twice.

export type RunRequest = {
  readonly host: string
  readonly command: string | readonly string[]
  readonly timeoutMs: number
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly stdin?: string | undefined
}
export type RunResult = { readonly code: number; readonly stdout: string; readonly stderr: string }

export type SpawnRequest = {
  readonly id: number
  readonly host: string
  readonly command: string | readonly string[]
  readonly env?: Readonly<Record<string, string>> | undefined
}
export type OutputEvent = {
  readonly id: number
  readonly source: 'stdout' | 'stderr'
  readonly text: string
}
export type ExitEvent = {
  readonly id: number
  readonly code: number | null
  readonly signal: string | null
}

/** What a namespace gets: settings first, so that its interfaces are born with them. */
export type NamespacePlan = {
  readonly host: string
  readonly sysctls: Readonly<Record<string, string>>
  /** Lines for `ip -batch -`, run inside the namespace. */
  readonly batch: readonly string[]
  readonly sysctlsAfter: Readonly<Record<string, string>>
}
export type TopologyPlan = {
  readonly rootSysctls: Readonly<Record<string, string>>
  readonly rootBatch: readonly string[]
  readonly namespaces: readonly NamespacePlan[]
}

/** Who answered, or what went wrong, and how often. */
export type Histogram = Record<string, number>

export type GetRequest = {
  readonly client: string
  readonly url: string
  readonly n: number
  readonly par: number
  readonly timeoutMs: number
  readonly upload?: number | undefined
  readonly src?: string | undefined
  /** What carries it; SCTP needs `src`. */
  readonly protocol?: 'tcp' | 'sctp' | undefined
}
export type UdpRequest = {
  readonly client: string
  readonly address: string
  readonly port: number
  readonly n: number
  readonly timeoutMs: number
  readonly src?: string | undefined
  /** The datagram; default `?`. */
  readonly message?: string | undefined
}
export type LoadRequest = {
  readonly id: number
  readonly client: string
  readonly url: string
  readonly ratePerSecond: number
  readonly timeoutMs: number
}
export type LoadSnapshot = { readonly answers: Histogram; readonly errors: Histogram }
export type HoldStatus = {
  readonly alive: boolean
  readonly answerer: string
  readonly bytes: number
  readonly idleMs: number
  readonly error?: string | undefined
}
