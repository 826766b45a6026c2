/**
 * A network namespace of the guest for one measurement: an empty IPVS table that nobody flushed before,
 * since a refill after a flush is many times slower than a first fill.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Lab } from '../test/lab/lab.ts'

/** The kernel frees a namespace in the background. */
const SETTLE_MS = 3_000

let made = 0

export async function inNamespace<T>(lab: Lab, work: (name: string) => Promise<T>): Promise<T> {
  const name = `bench${++made}`
  await lab.sh('root', `ip netns add ${name} && ip -n ${name} link set lo up`)
  try {
    return await work(name)
  } finally {
    await lab.sh('root', `ip netns del ${name}`)
    await sleep(SETTLE_MS)
  }
}

/** Joins the namespace to the management bridge, where the controller is reached. */
export async function joinManagement(lab: Lab, name: string): Promise<void> {
  const end = `v-${name}`
  await lab.sh(
    'root',
    [
      `ip link add ${end} type veth peer name mgmt netns ${name}`,
      `ip link set ${end} master br-mgmt up`,
      `ip -n ${name} addr add 192.0.2.${100 + (made % 100)}/24 dev mgmt`,
      `ip -n ${name} link set mgmt up`,
    ].join(' && '),
  )
}

/** Runs a command of the guest's shell to its end; ms on the guest's clock. Undefined beyond `boundMs`. */
export async function timed(
  lab: Lab,
  host: string,
  command: string,
  boundMs: number,
): Promise<number | undefined> {
  const script = [
    's=$(date +%s%N)',
    `timeout ${Math.ceil(boundMs / 1_000)} sh -c '${command}' >/run/bench.log 2>&1`,
    'code=$?',
    'e=$(date +%s%N)',
    'echo $(( (e - s) / 1000 )) $code',
  ].join('\n')
  const answer = await lab.sh(host, script, { timeoutMs: boundMs + 30_000 })
  const [micros = Number.NaN, code = 1] = answer.trim().split(' ').map(Number)
  if (code === 124) return undefined
  if (code !== 0) {
    const said = await lab.sh('root', 'tail -n 5 /run/bench.log')
    throw new Error(`exit status ${code} from: ${command.slice(0, 200)}\n${said}`)
  }
  return micros / 1_000
}
