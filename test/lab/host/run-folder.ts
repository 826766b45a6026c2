// The folder of one lab run below .lab/runs: what the guest shares (`out`), its console, the output of
// its processes. The last few runs are kept for whoever wants to know why a test failed.
import * as fs from 'node:fs'
import { join } from 'node:path'

const RUNS_KEPT = 10

export type RunFolder = {
  readonly path: string
  readonly out: string
  readonly consoleFile: string
  logFile(name: string): string
}

export function makeRunFolder(labDir: string): RunFolder {
  const runs = join(labDir, 'runs')
  fs.mkdirSync(runs, { recursive: true })
  for (const old of fs.readdirSync(runs).sort().slice(0, -RUNS_KEPT)) {
    fs.rmSync(join(runs, old), { recursive: true, force: true })
  }
  const stamp = new Date().toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 15)
  const path = fs.mkdtempSync(join(runs, `${stamp}-`))
  const out = join(path, 'out')
  fs.mkdirSync(out)
  const used = new Set<string>()
  return {
    path,
    out,
    consoleFile: join(path, 'console.log'),
    logFile(name) {
      let unique = name
      for (let n = 2; used.has(unique); n++) unique = `${name}-${n}`
      used.add(unique)
      return join(path, `${unique}.log`)
    },
  }
}
