/**
 * Bundles what ships: one file each, quick to start and small in memory. Native packages stay outside
 * and are found in node_modules beside the bundle or above it.
 *
 *   node scripts/build.ts          builds dist/lvsfleet-agent.mjs
 */
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))

export const AGENT_BUNDLE = `${root}dist/lvsfleet-agent.mjs`

/**
 * What Node is told for the agent: a young generation of 2 MB, and no threads of V8's own. An agent has little to do at
 * a time, so helpers that wake up for each small collection cost more than they save. And a way to ask for a collection.
 */
export const AGENT_NODE_FLAGS = [
  '--max-semi-space-size=2',
  '--single-threaded',
  '--expose-gc',
] as const

export async function buildAgent(outfile = AGENT_BUNDLE): Promise<string> {
  await build({
    entryPoints: [`${root}services/agent/src/main.ts`],
    outfile,
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
  })
  return outfile
}

if (import.meta.main) console.log(await buildAgent())
