/**
 * Bundles what ships: one file each, quick to start and small in memory. Native packages stay outside
 * and are found in node_modules beside the bundle or above it.
 *
 *   node scripts/build.ts          builds dist/lvsfleet-agent.mjs and dist/lvsfleet-agent-aws.mjs
 */
import { fileURLToPath } from 'node:url'
import { basename } from 'node:path'
import { build, type BuildOptions } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))

export const AGENT_BUNDLE = `${root}dist/lvsfleet-agent.mjs`

/**
 * What Node is told for the agent: a young generation of 1 MB, memory before speed, and no threads of V8's own, which
 * wake up for each small collection and cost more than they save. And a way to ask for a collection.
 */
export const AGENT_NODE_FLAGS = [
  '--max-semi-space-size=1',
  '--optimize-for-size',
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
  // Native addons: loaded from node_modules at run time.
  external: ['netlink', 'netlink/*', 'koffi'],
  banner: {
    js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
  },
  logLevel: 'warning',
} satisfies BuildOptions

export async function buildAgent(outfile = AGENT_BUNDLE): Promise<string> {
  const awsFile = outfile.replace(/\.mjs$/, '-aws.mjs')
  await build({
    ...COMMON,
    entryPoints: [`${root}services/agent/src/main.ts`],
    outfile,
    // Its own file beside this one, loaded by hosts that use AWS and by no other.
    plugins: [
      {
        name: 'aws-apart',
        setup: (bundle) =>
          bundle.onResolve({ filter: /\/aws-bundle\.ts$/ }, () => ({
            path: `./${basename(awsFile)}`,
            external: true,
          })),
      },
    ],
  })
  const entry = `${root}services/agent/src/aws/aws-bundle.ts`
  await build({ ...COMMON, entryPoints: [entry], outfile: awsFile, sourcemap: false })
  return outfile
}

if (import.meta.main) console.log(await buildAgent())
