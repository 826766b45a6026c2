// Makes plain JavaScript of the guest's programs before it boots: stripping types in the guest costs
// each of them most of a second on an emulated CPU.
import { join } from 'node:path'
import { build } from 'esbuild'

export async function bundleGuest(repo: string): Promise<void> {
  const guest = join(repo, 'test/lab/guest')
  await build({
    entryPoints: {
      daemon: join(guest, 'daemon.ts'),
      servers: join(guest, 'traffic/servers.ts'),
      clients: join(guest, 'traffic/clients.ts'),
    },
    outdir: join(repo, '.lab/guest'),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    external: ['koffi'],
    logLevel: 'error',
  })
}
