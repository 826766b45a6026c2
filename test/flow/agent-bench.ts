/** The whole agent on a fake kernel, a real directory and a control plane over real HTTP. Tests only. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { runCommand } from '../../services/agent/src/cli/run-command.ts'
import type { Outside } from '../../services/agent/src/cli/session.ts'
import { parseConfig } from '../../services/agent/src/config.ts'
import { createLog, systemClock } from '../../services/agent/src/system.ts'
import { startFakeApi, type FakeApi } from '../fakes/fake-api.ts'
import { createFakeController, type FakeController } from '../fakes/fake-controller.ts'
import { createFakeKernel, type FakeKernel } from '../fakes/fake-kernel.ts'

export type Bench = {
  readonly directory: string
  readonly kernel: FakeKernel
  readonly controller: FakeController
  readonly api: FakeApi
  readonly printed: string[]
  readonly logged: string[]
  readonly stop: AbortController
  readonly outside: Outside
  run(...args: string[]): Promise<number>
}

export async function createBench(t: TestContext): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), 'lvsfleet-agent-'))
  const controller = createFakeController()
  const api = await startFakeApi(controller)
  const kernel = createFakeKernel()
  const printed: string[] = []
  const logged: string[] = []
  const stop = new AbortController()
  t.after(async () => {
    stop.abort()
    await api.close()
    await rm(directory, { recursive: true, force: true })
  })
  const outside: Outside = {
    clock: systemClock,
    random: () => 0.5,
    log: createLog('plain', (line) => logged.push(line)),
    print: (text) => printed.push(text),
    openKernel: async () => kernel,
    signal: stop.signal,
  }
  return {
    directory,
    kernel,
    controller,
    api,
    printed,
    logged,
    stop,
    outside,
    run: (...args) => runCommand(configOf(directory, api, args), outside),
  }
}

export function configOf(directory: string, api: FakeApi, args: readonly string[]) {
  return parseConfig([...args, '--state-dir', directory], {
    LVSFLEET_API: api.url.href,
    LVSFLEET_TOKEN: 'lvsj_1_secret',
    LVSFLEET_HOST_ROLE: 'director',
    LVSFLEET_HOST_NAME: 'lb1',
    LVSFLEET_METRICS: 'off',
  })
}

export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 1_000; i++) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  assert.fail(`not within 5 s: ${what}`)
}
