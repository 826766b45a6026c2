/** What a provider is to the core: schemas, and what it does with values. The core knows nothing of what they mean. */
import type { Problem } from './problem.ts'
import type { Block, CtyType } from './schema.ts'

/** `version` grows when saved states have to be changed to fit; 0 where nothing is said. */
export type ResourceSchema = Block & { readonly version?: number }

export type Change = {
  readonly type: string
  /** null = it is made. */
  readonly prior: unknown
  /** null = it is destroyed. */
  readonly planned: unknown
  readonly config: unknown
}

export type ProviderFunction = {
  readonly summary: string
  readonly parameters: readonly { readonly name: string; readonly type: CtyType }[]
  readonly returns: CtyType
  /** Throws an ArgumentError where one of them is to blame. */
  readonly call: (...values: readonly unknown[]) => unknown
}

export type Opened = {
  readonly result: unknown
  /** Comes back with `close`; terraform writes it nowhere. */
  readonly private?: Uint8Array
}

/** What is thrown becomes an error of the operator's: a Refusal with its paths, anything else with its message. */
export type Provider = {
  readonly provider: Block
  readonly resources: Readonly<Record<string, ResourceSchema>>
  readonly dataSources: Readonly<Record<string, Block>>
  readonly ephemerals: Readonly<Record<string, Block>>
  readonly functions?: Readonly<Record<string, ProviderFunction>>
  readonly configure: (config: unknown) => Promise<void>
  /** Of a resource, data source or ephemeral resource, before anything else is asked of it. */
  readonly validate?: (type: string, config: unknown) => readonly Problem[]
  /** Instead of the core's own plan (plan.ts). */
  readonly plan?: (change: Change) => Promise<unknown>
  readonly apply: (change: Change) => Promise<unknown>
  /** null = it is gone. */
  readonly read: (type: string, state: unknown) => Promise<unknown>
  /** By the id that `terraform import` was given; null = there is none. */
  readonly import?: (type: string, id: string) => Promise<unknown>
  /** A state that an older version saved, as one of this version. */
  readonly upgrade?: (type: string, version: number, state: unknown) => unknown
  readonly readData: (type: string, config: unknown) => Promise<unknown>
  readonly open: (type: string, config: unknown) => Promise<Opened>
  readonly close?: (type: string, kept: Uint8Array) => Promise<void>
  /** Lets values differ from what was planned. For a double that knows little of what it stands for. */
  readonly isLoose?: boolean
}
