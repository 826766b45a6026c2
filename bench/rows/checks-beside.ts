/**
 * The same checks by the agent's health engine and by keepalived, one after the other in one namespace of the guest: CPU and
 * memory beside each other. A guest is slower than the machine, so there are fewer of them than `checks` makes natively.
 */
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { AGENT_NODE_FLAGS } from '../../scripts/build.ts'
import type { Lab } from '../../test/lab/lab.ts'
import type { EngineName } from '../../test/lab/engine/engine.ts'
import { bundle } from '../bundle.ts'
import { figure, type Figure } from '../figure.ts'
import { checkedAddress, type ChecksOrder } from '../measure-checks.ts'
import { inNamespace } from '../namespace.ts'
import type { Outside } from '../outside.ts'
import { cpuMsOf, mbOf } from '../proc.ts'
import type { Row } from '../row.ts'

/** A second. User-Mode Linux runs programs natively, and system calls several times slower. */
const EMULATED = { count: 100, processor: 'emulated CPU' }
const ENGINES: Readonly<Record<EngineName, typeof EMULATED>> = {
  qemu: EMULATED,
  'qemu-6.12': EMULATED,
  uml: { count: 500, processor: 'User-Mode Linux' },
}
const PORT = 8_080
const SETTLE_MS = 8_000
const MEASURE_MS = 20_000

const HTTP = {
  kind: 'http',
  method: 'GET',
  path: '/',
  host: null,
  statuses: [{ from: 200, to: 200 }],
  bodyContains: null,
  bodyMatches: null,
  tls: null,
} satisfies ChecksOrder['probe']

const KINDS: readonly { readonly probe: ChecksOrder['probe']; readonly checker: string }[] = [
  { probe: { kind: 'tcp' }, checker: 'TCP_CHECK {\n      connect_timeout 1\n    }' },
  {
    probe: HTTP,
    checker:
      'HTTP_GET {\n      url {\n        path /\n        status_code 200\n      }\n      connect_timeout 1\n    }',
  },
]

export const checksBesideRow: Row = {
  name: 'checks-beside',
  summary: 'the same health checks by the agent and by keepalived: CPU and memory',
  inGuest: true,
  measure,
}

type Cost = { readonly perSecond: number; readonly cpu: number; readonly rssMb: number }

async function measure(outside: Outside): Promise<readonly Figure[]> {
  const { lab } = await outside.fleet()
  const { count, processor } = ENGINES[lab.engine]
  const checked = await bundle(new URL('../native/checked.ts', import.meta.url))
  const program = await bundle(new URL('../guest/checks.ts', import.meta.url))
  const figures: Figure[] = []
  for (const { probe, checker } of KINDS) {
    outside.log(`${count} ${probe.kind} checks a second`)
    const [ours, theirs] = await inNamespace(lab, async (host) => {
      const name = `checked-${probe.kind}`
      const server = await lab.spawn(host, [process.execPath, checked, `${PORT}`], { name })
      try {
        const own = await byAgent(lab, host, program, { probe, count })
        return [own, await byKeepalived(lab, host, checker, count)] as const
      } finally {
        await server.stop()
      }
    })
    figures.push(
      figure(`${count} ${probe.kind} checks a second, ${processor}: agent`, costText(ours), {
        beside: `keepalived ${costText(theirs)}: ${(theirs.cpu / ours.cpu).toFixed(2)} x`,
        numbers: { ...ours, peerCpu: theirs.cpu, peerRssMb: theirs.rssMb },
      }),
    )
  }
  return figures
}

async function byAgent(
  lab: Lab,
  host: string,
  program: string,
  asked: Pick<ChecksOrder, 'probe' | 'count'>,
): Promise<Cost> {
  const order: ChecksOrder = {
    port: PORT,
    ownAddresses: true,
    ...asked,
    intervalMs: 1_000,
    settleMs: SETTLE_MS,
    ms: MEASURE_MS,
  }
  const command = [process.execPath, ...AGENT_NODE_FLAGS, program, JSON.stringify(order)]
  const answer = await lab.sh(host, command, { timeoutMs: 90_000 })
  const { probesPerSecond, cpu, rssMb, up } = JSON.parse(answer) as {
    probesPerSecond: number
    cpu: number
    rssMb: number
    up: number
  }
  if (up !== asked.count) throw new Error(`${up} of ${asked.count} were found up`)
  return { perSecond: probesPerSecond, cpu, rssMb }
}

async function byKeepalived(lab: Lab, host: string, checker: string, count: number): Promise<Cost> {
  const servers = Array.from({ length: count }, (_, i) => {
    return `  real_server ${checkedAddress(i)} ${PORT} {\n    weight 1\n    ${checker}\n  }\n`
  })
  const settings = 'delay_loop 1\n  lvs_sched rr\n  lvs_method NAT\n  protocol TCP'
  const text = `virtual_server 10.3.0.1 80 {\n  ${settings}\n${servers.join('')}}\n`
  writeFileSync(`${lab.dir}/ka-checks.conf`, `global_defs {\n}\n${text}`)
  const words = `keepalived -n -C -p /run/bench-ka.pid -c /run/bench-kac.pid -f ${lab.guestDir}/ka-checks.conf`
  await lab.sh('root', 'rm -f /run/bench-ka*')
  const running = await lab.spawn(host, ['sh', '-c', `exec ${words}`], { name: 'keepalived' })
  try {
    await sleep(SETTLE_MS)
    const pid = (await lab.sh('root', 'cat /run/bench-kac.pid')).trim()
    // Connections that the namespace took: what keepalived says of its own pace is not to be asked.
    const opened = async () =>
      Number((await lab.sh(host, "awk '/^Tcp: [0-9]/ {print $7}' /proc/net/snmp")).trim())
    const look = async () => ({
      at: performance.now(),
      opened: await opened(),
      cpuMs: cpuMsOf(await lab.readFile(`/proc/${pid}/stat`)),
    })
    const before = await look()
    await sleep(MEASURE_MS)
    const after = await look()
    const ms = after.at - before.at
    return {
      perSecond: ((after.opened - before.opened) / ms) * 1_000,
      cpu: (after.cpuMs - before.cpuMs) / ms,
      rssMb: mbOf(await lab.readFile(`/proc/${pid}/status`), 'VmRSS'),
    }
  } finally {
    await running.stop()
  }
}

function costText({ perSecond, cpu, rssMb }: Cost): string {
  return `${Math.round(perSecond)} a second, ${(cpu * 100).toFixed(1)} % of a core, ${Math.round(rssMb)} MB`
}
