// node scripts/run.mjs [--lab] FILE [ARGUMENTS...]: sets the checkout up, then runs FILE on the pinned Node.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setup } from './setup.mjs'

const words = process.argv.slice(2)
const lab = words[0] === '--lab'
if (lab) words.shift()
const node = setup({ lab })
const bin = fileURLToPath(new URL('../node_modules/.bin', import.meta.url))
const child = spawn(node, words, {
  stdio: 'inherit',
  env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
})
// The terminal sends Ctrl-C to the whole group: the child decides, this waits for it.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    if (signal === 'SIGTERM') child.kill('SIGTERM')
  })
}
child.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 130)))
