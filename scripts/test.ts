/**
 * `npm test`: every layer in turn, quickest first, and one closing line that adds them up.
 * `npm run test:LAYER` runs one. A layer that cannot run fails; none is left out silently.
 */
import { spawn, spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { setupLambda } from './setup-lambda.ts'

type Layer = {
  readonly name: string
  readonly what: string
  readonly globs: readonly string[]
  /** Files at a time; the lab boots one kernel at a time. */
  readonly concurrency: number
  /** Of one file; 10 minutes where nothing is said. */
  readonly timeoutMs?: number
  /** Takes longer than a test run may; told as not run where it was not asked for. */
  readonly isOnRequest?: true
  /** Why it cannot run on this machine. Told as not run; a failure where CI=true, and where it was asked for by name. */
  readonly missing?: () => string | undefined
  /** What it needs beyond the lock file's packages; gives variables for its tests. */
  readonly setup?: () => Record<string, string>
}

const LAYERS: readonly Layer[] = [
  {
    name: 'static',
    what: 'format, types, lint, dead code, rules of direction',
    globs: ['test/static.test.ts', 'test/architecture.test.ts'],
    concurrency: 1,
  },
  {
    name: 'unit',
    what: 'pure steps, codecs, properties',
    globs: [
      'contract/src/**/*.test.ts',
      'services/*/src/**/*.test.ts',
      'clients/*/src/**/*.test.ts',
      'test/wire/*.test.ts',
    ],
    concurrency: 2,
  },
  {
    name: 'flow',
    what: 'agent against a kernel that behaves',
    globs: ['test/flow/**/*.test.ts', 'test/simulation/**/*.test.ts'],
    concurrency: 2,
  },
  {
    name: 'api',
    what: 'HTTP against real Postgres',
    globs: ['test/api/**/*.test.ts', 'test/lambda/**/*.test.ts'],
    concurrency: 2,
  },
  {
    name: 'package',
    what: "the agent's package: its unit, its upgrade, install.sh",
    globs: ['test/package/**/*.test.ts'],
    concurrency: 2,
    missing: () => missingTool('dpkg-deb', 'systemd-analyze', 'curl', 'openssl'),
  },
  {
    name: 'infra',
    what: 'Terraform modules: schema and logic, against a test double',
    globs: ['test/infra/**/*.test.ts'],
    concurrency: 1,
    missing: () =>
      spawnSync('terraform', ['version']).status === 0
        ? undefined
        : 'there is no terraform in PATH',
  },
  {
    name: 'lab',
    what: 'real ip_vs, real packets',
    globs: ['test/lab/**/*.test.ts'],
    concurrency: 1,
  },
  {
    name: 'kills',
    what: 'five hundred SIGKILLs of API and Postgres under write load',
    globs: ['test/api/**/*.thorough.ts'],
    concurrency: 1,
    timeoutMs: 3_600_000,
    isOnRequest: true,
  },
  {
    name: 'thorough',
    what: 'each fault of the doctor and of health checks, quorum, tunnel, path, edit and port range, SCTP, sync, thousands of services, latency',
    globs: ['test/lab/**/*.thorough.ts'],
    concurrency: 1,
    isOnRequest: true,
  },
  {
    name: 'lambda',
    what: 'the function under the real runtime client of Lambda, which takes minutes to compile',
    globs: ['test/lambda/**/*.test.ts', 'test/lambda/**/*.thorough.ts'],
    concurrency: 1,
    setup: setupLambda,
    isOnRequest: true,
  },
  {
    name: 'bringup',
    what: 'a serverless fleet: Lambda’s runtime client, Parameter Store, STS, and directors in the lab',
    globs: ['test/lab/**/*.bring-up.ts'],
    concurrency: 1,
    timeoutMs: 1_800_000,
    setup: setupLambda,
    isOnRequest: true,
  },
]

function missingTool(...tools: readonly string[]): string | undefined {
  const tool = tools.find((name) => spawnSync('which', [name]).status !== 0)
  return tool === undefined ? undefined : `there is no ${tool} in PATH`
}

const root = fileURLToPath(new URL('..', import.meta.url))
const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => LAYERS.every((layer) => layer.name !== name))
if (unknown.length > 0) {
  console.error(
    `no test layer ${unknown.join(', ')}: there are ${LAYERS.map((layer) => layer.name).join(', ')}`,
  )
  process.exit(2)
}

type Totals = { pass: number; fail: number; skipped: number }
const totals: Totals = { pass: 0, fail: 0, skipped: 0 }
let failedLayers = 0
const notRun: string[] = []
const isWanted = ({ name, isOnRequest }: Layer): boolean =>
  wanted.length === 0 ? isOnRequest !== true : wanted.includes(name)
for (const layer of LAYERS.filter(isWanted)) {
  const started = Date.now()
  console.log(`\n== ${layer.name}: ${layer.what}`)
  const missing = layer.missing?.()
  if (missing !== undefined) {
    const mustRun = process.env['CI'] === 'true' || wanted.length > 0
    console.log(`== ${layer.name}: ${mustRun ? 'FAILED' : 'NOT RUN'}: ${missing}`)
    notRun.push(`${layer.name} (${missing})`)
    if (mustRun) failedLayers++
    continue
  }
  const result = await runLayer(layer)
  totals.pass += result.pass
  totals.fail += result.fail
  totals.skipped += result.skipped
  if (!result.ok) failedLayers++
  console.log(
    `== ${layer.name}: ${result.ok ? 'ok' : 'FAILED'} in ${Math.round((Date.now() - started) / 1000)} s`,
  )
}
for (const { name, what } of LAYERS.filter((layer) => layer.isOnRequest && wanted.length === 0)) {
  console.log(`\nnot run here, for its length: npm run test:${name} (${what})`)
}
for (const layer of notRun) console.log(`\nnot run: ${layer}`)
console.log(`\n${totals.pass} passed, ${totals.fail} failed, ${totals.skipped} skipped`)
process.exit(failedLayers === 0 && totals.fail === 0 ? 0 : 1)

async function runLayer(layer: Layer): Promise<Totals & { ok: boolean }> {
  const files = layer.globs.flatMap((pattern) => globSync(pattern, { cwd: root })).toSorted()
  if (files.length === 0) {
    console.log('no test file was found: that is a failure')
    return { pass: 0, fail: 1, skipped: 0, ok: false }
  }
  const args = [
    '--test',
    `--test-concurrency=${layer.concurrency}`,
    `--test-timeout=${layer.timeoutMs ?? 600_000}`,
    ...files,
  ]
  const env = { ...process.env, ...layer.setup?.() }
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env,
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-20_000)
    process.stdout.write(chunk)
  })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  const pass = countOf(text, 'pass')
  const fail = countOf(text, 'fail') + countOf(text, 'cancelled')
  return {
    pass,
    fail,
    skipped: countOf(text, 'skipped') + countOf(text, 'todo'),
    ok: code === 0 && pass > 0,
  }
}

/** The last `ℹ pass 12` (or `# pass 12`) that the test runner printed. */
function countOf(text: string, word: string): number {
  const all = [...text.matchAll(new RegExp(`^[ℹ#] ${word} (\\d+)$`, 'gm'))]
  return Number(all.at(-1)?.[1] ?? 0)
}
