/**
 * Bundles what ships: one file each, quick to start and small in memory. Machine code stays outside
 * and is found in node_modules beside the bundle or above it.
 *
 *   node scripts/build.ts          builds dist/lvsfleet-agent.mjs, dist/lvsfleet-agent-aws.mjs and dist/lvsfleet-api-lambda{/,.zip}
 */
import assert from 'node:assert/strict'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { basename, dirname, join, resolve } from 'node:path'
import { build, type BuildOptions, type Plugin } from 'esbuild'
import { zipFolder } from './zip.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

const AGENT_NAME = 'lvsfleet-agent'
export const AGENT_BUNDLE = `${root}dist/${AGENT_NAME}.mjs`

/**
 * What Node is told for the agent: a young generation of 2 MB, small but large enough that a batch for the kernel is gone
 * before it is old. V8 collects the whole heap from 72 MB on, which a start with 10,000 × 10 destinations does not reach:
 * each collection would copy what lives to fresh pages. After that the agent says when
 * (services/agent/src/release-memory.ts), and a collection is one pause of some 20 ms at most, not many steps while the
 * heap grows on. No third compiler, whose code never pays back in an agent that is idle most of the time, and the second one
 * for what runs again and again: at its usual 400 calls a start of the agent would wait for it a hundred times. No
 * collection before the young generation is full, and no threads of V8's own, which wake up for each small collection and
 * cost more than they save.
 */
export const AGENT_NODE_FLAGS = [
  '--min-semi-space-size=2',
  '--max-semi-space-size=2',
  '--initial-heap-size=72',
  '--no-incremental-marking',
  '--no-turbofan',
  '--invocation-count-for-maglev=5000',
  '--no-minor-gc-task',
  '--single-threaded',
  '--expose-gc',
] as const

const COMMON = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  minify: true,
  sourcemap: true,
  banner: {
    js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
  },
  logLevel: 'warning',
} satisfies BuildOptions

/** The bundle says another version than the checkout: what upgrades are tested with. */
const sayVersion = (version: string): Plugin => ({
  name: 'say-version',
  setup: (bundle) =>
    bundle.onLoad({ filter: /\/contract\/src\/version\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(
        /VERSION = '[^']*'/,
        () => `VERSION = ${JSON.stringify(version)}`,
      ),
      loader: 'ts',
    })),
})

/**
 * What the contract takes as zod the agent takes as zod/mini: the same schemas, without the methods and the way to JSON
 * schemas of which the API makes its OpenAPI document. tsconfig.agent.json checks that it has all they use.
 */
export const zodMini: Plugin = {
  name: 'zod-mini',
  setup: (bundle) =>
    bundle.onResolve({ filter: /^zod$/ }, ({ kind, resolveDir }) =>
      bundle.resolve('zod/mini', { kind, resolveDir }),
    ),
}

/**
 * What the agent loads once its kernel has the last good state, or for another command than `run`. One file: whatever
 * of these is imported first brings the rest.
 */
const LATER = [
  'cli/carry-on.ts',
  'cli/dry-run.ts',
  'cli/other-commands.ts',
  'doctor/host-doctor.ts',
  'health/host-prober.ts',
  'kernel/path/marked-sockets.ts',
] as const

const agentSource = (file: string): string => `${root}services/agent/src/${file}`

/** Each of LATER is that one file, so that a bundle has as few files as it has moments to load them. */
const laterAsOne: Plugin = {
  name: 'later-as-one',
  setup: (bundle) => {
    bundle.onResolve({ filter: /^\.\.?\// }, ({ kind, path, resolveDir }) => {
      if (kind !== 'dynamic-import') return undefined
      const file = resolve(resolveDir, path)
      if (!LATER.some((name) => agentSource(name) === file))
        return { errors: [{ text: `${path} is imported late: name it in LATER` }] }
      return { path: 'later', namespace: 'later' }
    })
    bundle.onLoad({ filter: /./, namespace: 'later' }, () => ({
      contents: LATER.map((name) => `export * from ${JSON.stringify(agentSource(name))}`).join(
        '\n',
      ),
      resolveDir: root,
    }))
  },
}

/** Loaded by hosts that use AWS and by no other; a bundle of its own. */
const awsApart = (file: string): Plugin => ({
  name: 'aws-apart',
  setup: (bundle) =>
    bundle.onResolve({ filter: /\/aws-bundle\.ts$/ }, () => ({
      path: `./${basename(file)}`,
      external: true,
    })),
})

/** The machine code of the netlink package for this processor, without its search for where that may be: see libc.ts too. */
const netlinkDirect: Plugin = {
  name: 'netlink-direct',
  setup: (bundle) => {
    bundle.onResolve({ filter: /^node-gyp-build$/ }, ({ path }) => ({ path, namespace: 'direct' }))
    bundle.onLoad({ filter: /./, namespace: 'direct' }, () => ({
      contents:
        'module.exports = () => require("netlink/prebuilds/linux-" + process.arch + "/node.napi.node")',
    }))
  },
}

/** Files of the agent's bundle beside its entry: what both its parts share, what it loads later, what only AWS needs. */
export function besideAgent(entry: string): Readonly<Record<'chunk' | 'later' | 'aws', string>> {
  const beside = (name: string): string => entry.replace(/\.mjs$/, `-${name}.mjs`)
  return { chunk: beside('chunk'), later: beside('later'), aws: beside('aws') }
}

/** Into `folder`, always under the same names; gives the path of the entry. */
export async function buildAgent(
  folder = dirname(AGENT_BUNDLE),
  version?: string,
): Promise<string> {
  const outfile = join(folder, `${AGENT_NAME}.mjs`)
  const { chunk, later, aws } = besideAgent(outfile)
  const { metafile } = await build({
    ...COMMON,
    metafile: true,
    entryPoints: { [AGENT_NAME]: agentSource('main.ts') },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    splitting: true,
    chunkNames: `${AGENT_NAME}-[name]`,
    // What netlink gives the search that is left out.
    define: { __dirname: '""' },
    plugins: [
      zodMini,
      awsApart(aws),
      laterAsOne,
      netlinkDirect,
      ...(version === undefined ? [] : [sayVersion(version)]),
    ],
  })
  const made = Object.keys(metafile.outputs).filter((file) => file.endsWith('.mjs'))
  const expected = [outfile, chunk, later].map((file) => basename(file))
  assert.deepEqual(made.map((file) => basename(file)).sort(), expected.sort())
  await build({
    ...COMMON,
    entryPoints: [agentSource('aws/aws-bundle.ts')],
    outfile: aws,
    sourcemap: false,
    plugins: [zodMini],
  })
  return outfile
}

const FROM_ENVIRONMENT = '@aws-sdk/credential-provider-env'

/** What nobody calls, and what may stay out because nobody does: one that is called nevertheless says so. */
const never = (names: readonly string[]): string =>
  `const never = () => { throw new Error('left out of this bundle: scripts/build.ts') }
export { ${names.map((name) => `never as ${name}`).join(', ')} }`

/**
 * Left out of what Lambda loads: zod's messages in 50 languages, its compiler and its reader of JSON schemas, the binding of
 * pg to libpq, what tells browsers apart, streams of events, and every source of credentials but the environment, which is
 * where Lambda puts those of the function's role.
 */
const LEFT_OUT: readonly { filter: RegExp; importer: RegExp; instead: string }[] = [
  { filter: /^bowser$/, importer: /@(aws-sdk|smithy)/, instead: 'export default {}' },
  { filter: /^@smithy\/core\/event-streams$/, importer: /@smithy\/core/, instead: 'export {}' },
  { filter: /locales\/index\.js$/, importer: /node_modules\/zod\//, instead: 'export {}' },
  {
    filter: /\/compile\.js$/,
    importer: /node_modules\/zod\//,
    instead: never([
      'INVALID',
      'compile',
      'withParser',
      'ZodCompileAsyncError',
      'ZodCompileUnsupportedError',
    ]),
  },
  {
    filter: /\/from-json-schema\.js$/,
    importer: /node_modules\/zod\//,
    instead: never(['fromJSONSchema']),
  },
  { filter: /^\.\/native$/, importer: /node_modules\/pg\//, instead: 'export {}' },
  {
    filter: /^@aws-sdk\/credential-provider-node$/,
    importer: /@aws-sdk/,
    instead: `export { fromEnv as defaultProvider } from '${FROM_ENVIRONMENT}'`,
  },
  {
    filter: /^@aws-sdk\/credential-providers$/,
    importer: /@aws-sdk/,
    instead: `export { fromEnv as fromNodeProviderChain } from '${FROM_ENVIRONMENT}'`,
  },
]

const leaveOut: Plugin = {
  name: 'leave-out',
  setup: (builder) => {
    for (const [index, { filter, importer }] of LEFT_OUT.entries()) {
      builder.onResolve({ filter }, (args) =>
        importer.test(args.importer)
          ? { path: String(index), namespace: 'left-out', sideEffects: false }
          : undefined,
      )
    }
    builder.onLoad({ filter: /./, namespace: 'left-out' }, ({ path }) => ({
      contents: LEFT_OUT[Number(path)]?.instead ?? '',
      resolveDir: root,
    }))
  },
}

/** Names with the handlers: `lambda.handler` serves, `lambda-migrate.handler` is the step before. */
export const LAMBDA_FOLDER = `${root}dist/lvsfleet-api-lambda`

/** A folder as Lambda unpacks it, with the migrations; what only some settings need is in files of its own. */
export async function buildLambda(outdir = LAMBDA_FOLDER): Promise<string> {
  rmSync(outdir, { recursive: true, force: true })
  await build({
    entryPoints: [`${root}services/api/src/lambda.ts`, `${root}services/api/src/lambda-migrate.ts`],
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    minify: true,
    // The variants of AWS's packages of which only what is used is taken.
    mainFields: ['module', 'main'],
    plugins: [leaveOut],
    // pg asks for it only where somebody installed it.
    external: ['pg-native'],
    banner: {
      js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
  cpSync(`${root}migrations`, `${outdir}/migrations`, { recursive: true })
  return outdir
}

/** The same bytes for the same code, so that Terraform sees a change only where there is one. */
export function zipLambda(folder = LAMBDA_FOLDER, file = `${folder}.zip`): string {
  writeFileSync(file, zipFolder(folder))
  return file
}

if (import.meta.main) {
  console.log(await buildAgent())
  console.log(zipLambda(await buildLambda()))
}
