/** The kernel port in a host of the lab, seen from the test on the host: steps in, results out. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { ClampState, Op, ServiceRef } from '@lvs-fleet/contract'
import type {
  ObservedDestination,
  ObservedGuePort,
  ObservedNetwork,
  ObservedServices,
} from '../../../services/agent/src/kernel/kernel.ts'
import type { Lab } from '../lab.ts'
import type { Step } from './guest/drive.ts'

const REPO = fileURLToPath(new URL('../../..', import.meta.url))
const OUTPUT = join(REPO, '.lab/guest/kernel')

export type Failure = { readonly code: string; readonly message: string }

/** Plain JavaScript, so that the guest needs no type stripping; natives stay outside. */
export async function bundleKernelGuest(): Promise<void> {
  const source = (name: string) => fileURLToPath(new URL(`guest/${name}.ts`, import.meta.url))
  await build({
    entryPoints: {
      drive: source('drive'),
      overrun: source('overrun'),
      dial: source('dial'),
    },
    outdir: OUTPUT,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    external: ['netlink'],
    logLevel: 'error',
  })
}

export function nodeCommand(program: string, ...args: readonly string[]): readonly string[] {
  return [process.execPath, join(OUTPUT, `${program}.mjs`), ...args]
}

export class KernelGuest {
  private readonly lab: Lab
  private readonly host: string

  constructor(lab: Lab, host: string) {
    this.lab = lab
    this.host = host
  }

  /** One process of the guest does all steps; one result each. */
  async steps(...steps: readonly Step[]): Promise<readonly unknown[]> {
    const result: unknown = JSON.parse(
      await this.lab.sh(this.host, nodeCommand('drive'), { stdin: JSON.stringify(steps) }),
    )
    assert(Array.isArray(result), JSON.stringify(result))
    return result
  }

  async apply(ops: readonly Op[]): Promise<readonly (Failure | null)[]> {
    const [outcomes] = await this.steps({ do: 'apply', ops })
    return outcomes as readonly (Failure | null)[]
  }

  async codes(ops: readonly Op[]): Promise<readonly string[]> {
    return (await this.apply(ops)).map((failure) => failure?.code ?? 'ok')
  }

  async listServices(): Promise<ObservedServices> {
    const [services] = await this.steps({ do: 'listServices' })
    return services as ObservedServices
  }

  async listDestinations(
    services: readonly ServiceRef[],
  ): Promise<readonly (readonly ObservedDestination[] | null)[]> {
    const [lists] = await this.steps({ do: 'listDestinations', services })
    return lists as readonly (readonly ObservedDestination[] | null)[]
  }

  async observeNetwork(): Promise<ObservedNetwork> {
    const [network] = await this.steps({ do: 'observeNetwork' })
    return network as ObservedNetwork
  }

  async observeGuePorts(): Promise<readonly ObservedGuePort[]> {
    const [guePorts] = await this.steps({ do: 'observeGuePorts' })
    return guePorts as readonly ObservedGuePort[]
  }

  async observeClamps(): Promise<readonly ClampState[]> {
    const [clamps] = await this.steps({ do: 'observeClamps' })
    return clamps as readonly ClampState[]
  }
}

/** All ops were carried out. */
export function assertDone(outcomes: readonly unknown[]): void {
  assert.deepEqual(
    outcomes.filter((failure) => failure !== null),
    [],
  )
}
