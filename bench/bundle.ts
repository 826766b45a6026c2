/** Bundles the benchmark's programs as the agent ships: one plain JavaScript file each, natives outside. */
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { zodMini } from '../scripts/build.ts'

const OUTPUT = fileURLToPath(new URL('../dist/bench', import.meta.url))

/** Path of the bundle of `program`. */
export async function bundle(program: URL): Promise<string> {
  const name = basename(program.pathname, '.ts')
  const outfile = `${OUTPUT}/${name}.mjs`
  await build({
    entryPoints: [fileURLToPath(program)],
    outfile,
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    external: ['netlink', 'netlink/*'],
    plugins: [zodMini],
    banner: {
      js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
  return outfile
}
