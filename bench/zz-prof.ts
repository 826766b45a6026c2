import { randomUUID } from 'node:crypto'
import { spawn } from 'node:child_process'
import { readFileSync, mkdtempSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Controller } from '../test/lab/fleet/controller.ts'
import { AGENT_NODE_FLAGS } from '../scripts/build.ts'
import { bundle } from './bundle.ts'
import { SITE, standingIntent, members, SMALL_POOL } from './intent.ts'
import { cpuMsOf } from './proc.ts'
const size = Number(process.argv[2] ?? 10000) as never
const prof = process.argv[3] === 'prof'
const controller = await Controller.start(`/tmp/prof/${randomUUID()}`)
const name = 'dir-x'
await controller.call('PUT', '/v1/fleet?allowShrink=true', standingIntent(name, size))
const token = (
  (await controller.call('POST', '/v1/join-tokens', { role: 'director', site: SITE, name })) as any
).token
const program = await bundle(new URL('native/agent.ts', import.meta.url))
const dir = mkdtempSync('/tmp/prof/agent-')
const child = spawn(
  process.execPath,
  [
    ...AGENT_NODE_FLAGS,
    ...(prof ? ['--cpu-prof', '--cpu-prof-dir=/tmp/prof/out'] : []),
    program,
    'run',
    '--api',
    controller.url,
    '--role',
    'director',
    '--name',
    name,
    '--state-dir',
    dir,
  ],
  { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, LVSFLEET_TOKEN: token } },
)
const conv = async () => {
  for (;;) {
    const h = (await controller.call('GET', `/v1/hosts/director/${name}`)) as any
    if (h.conditions.find((c: any) => c.type === 'converged')?.status) return
    await sleep(20)
  }
}
await conv()
await sleep(12000)
const cpu = () => cpuMsOf(readFileSync(`/proc/${child.pid}/stat`, 'utf8'))
const a = cpu()
await sleep(3000)
const idle = (cpu() - a) / 3000
let w = 100
const run = async (n: number) => {
  for (let i = 0; i < n; i++) {
    w = w === 100 ? 50 : 100
    await controller.call('PATCH', `/v1/pools/${SMALL_POOL}?force=true`, { members: members(w) })
    await conv()
    await sleep(20)
  }
}
await run(20)
for (let k = 0; k < 3; k++) {
  const t = performance.now()
  const b = cpu()
  await run(50)
  console.log(
    'cpu per change',
    ((cpu() - b - idle * (performance.now() - t)) / 50).toFixed(2),
    'idle/s',
    (idle * 1000).toFixed(2),
  )
}
child.kill('SIGTERM')
await new Promise((r) => child.once('exit', r))
await controller.stop()
