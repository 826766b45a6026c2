/**
 * The story of a serverless fleet with real kernels: the API under the runtime client of Lambda on the host, the agents
 * and all packets in the lab. Beside the two sites stand a host on which a copy of a director runs, with the addresses
 * that are on its disk, and a client that is led to it.
 */
import assert from 'node:assert/strict'
import { AGENT_NODE_FLAGS, buildAgent } from '../../../scripts/build.ts'
import { HOST_CREDENTIALS, type ControlPlane } from '../../lambda/bring-up/control-plane.ts'
import {
  COPY_PLACE,
  REAL_SERVERS,
  tellStory,
  type Command,
  type Ground,
  type RunningAgent,
} from '../../lambda/bring-up/story.ts'
import { byServer } from '../histogram.ts'
import { startLab, type Lab } from '../lab.ts'
import { twoSites, type Topology } from '../topology.ts'

const RATE_PER_SECOND = 5
/**
 * An agent that starts keeps the emulated processors busy for seconds, and packets waiting. A request that no director
 * forwards is not answered within this either.
 */
const REQUEST_TIMEOUT_MS = 20_000
/** More than a round of any weights that the story sets. */
const ASKED = 24

const COPY_CLIENT = 'cl-x'
const topology: Topology = {
  ...twoSites,
  name: 'twoSitesAndACopy',
  hosts: [
    ...twoSites.hosts,
    { name: COPY_PLACE, segment: 'servers-b', v4: '10.2.0.20', v6: 'fd02::20' },
    { name: COPY_CLIENT, segment: 'servers-b', v4: '10.2.0.30', v6: 'fd02::30' },
  ],
}

/** Who asks at the director of a place, by which address, and with which one of its own. */
const WAYS: Readonly<Record<string, { client: string; vip: string; address: string }>> = {
  'dir-a': { client: 'cl-a', vip: '10.1.0.100', address: '10.1.9.2' },
  'dir-b': { client: 'cl-b', vip: '10.2.0.100', address: '10.2.9.2' },
  [COPY_PLACE]: { client: COPY_CLIENT, vip: '10.2.0.100', address: '10.2.0.30' },
}

async function openLab({ gate }: ControlPlane): Promise<Ground> {
  const bundle = await buildAgent()
  const lab = await startLab({ apiPort: gate.port, topology })
  try {
    await Promise.all(REAL_SERVERS.map((name) => lab.serve(name, { ports: [80] })))
    await keepCopyApart(lab)
  } catch (error) {
    await lab.stop()
    throw error
  }
  const pathOf = (folder: string) => `${lab.guestDir}/agents/${folder}`
  const env = {
    LVSFLEET_API: lab.apiUrl,
    LVSFLEET_METRICS: 'off',
    LVSFLEET_SELF_CHECKS: 'off',
    LVSFLEET_PATH_SECONDS: '0',
    AWS_REGION: 'eu-central-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ENDPOINT_URL_SSM: lab.apiUrl,
    AWS_ACCESS_KEY_ID: HOST_CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: HOST_CREDENTIALS.secretAccessKey,
    AWS_SESSION_TOKEN: HOST_CREDENTIALS.sessionToken,
  }
  let started = 0
  return {
    async run(place, { folder, words, env: more }: Command): Promise<RunningAgent> {
      const command = [process.execPath, ...AGENT_NODE_FLAGS, bundle, ...words]
      const agent = await lab.spawn(place, [...command, '--state-dir', pathOf(folder)], {
        name: `agent-${folder}-${++started}`,
        env: { ...env, ...more },
      })
      return {
        output: () => agent.output(),
        ended: agent.exited.then(({ code }) => code ?? -1),
        stop: async () => void (await agent.stop(15_000)),
      }
    },
    read: (folder, file) => lab.readFile(`${pathOf(folder)}/${file}`),
    write: (folder, file, text) => lab.writeFile(`${pathOf(folder)}/${file}`, text, 0o600),
    // On another machine the lock's boot and process would be nobody's.
    copy: async (from, to) =>
      void (await lab.sh(
        'root',
        `cp -a ${pathOf(from)} ${pathOf(to)} && rm -f ${pathOf(to)}/lock`,
      )),
    table: async (place) => (await lab.ipvsadm(place)).join('\n'),
    traffic: async () => {
      const loads = await Promise.all(
        ['dir-a', 'dir-b'].map((place) => {
          const { client = '', vip = '' } = WAYS[place] ?? {}
          const url = `http://${vip}/`
          const timeoutMs = REQUEST_TIMEOUT_MS
          return lab.load(client, { url, ratePerSecond: RATE_PER_SECOND, timeoutMs })
        }),
      )
      return {
        stop: async () => {
          const ended = await Promise.all(loads.map((load) => load.stop()))
          const answers = ended.flatMap((one) => Object.values(one.answers))
          return {
            served: answers.reduce((sum, count) => sum + count, 0),
            failures: ended.flatMap((one) => Object.entries(one.errors).map(String)),
          }
        },
      }
    },
    serves: async (place) => {
      const { client = '', vip = '', address = '' } = WAYS[place] ?? {}
      const url = `http://${vip}/`
      const answers = await lab.get(client, { url, n: ASKED, timeoutMs: REQUEST_TIMEOUT_MS })
      // Straight and through tunnels, and each real server sees the client itself.
      assert.deepEqual(Object.keys(byServer(answers)).toSorted(), [...REAL_SERVERS])
      for (const answer of Object.keys(answers)) assert.ok(answer.endsWith(`from=${address}`))
    },
    close: () => lab.stop(),
  }
}

/**
 * A copy that runs beside its original claims the same addresses; whom the network leads where is then a race. Fixed
 * neighbours decide it here, as the tables of a cloud's network do: the router goes to the original, one client to the copy.
 */
async function keepCopyApart(lab: Lab): Promise<void> {
  const macOf = async (host: string) =>
    /link\/ether (\S+)/.exec(await lab.sh(host, 'ip -o link show dev eth0'))?.[1] ??
    assert.fail(`${host} has no MAC address`)
  const lead = (host: string, device: string, mac: string, addresses: readonly string[]) =>
    lab.sh(
      host,
      addresses
        .map((address) => `ip neigh replace ${address} lladdr ${mac} nud permanent dev ${device}`)
        .join(' && '),
    )
  const vips = ['10.2.0.100', 'fd02::100']
  const owned = ['10.2.0.10', 'fd02::10']
  await lead('rt-b', 'servers', await macOf('dir-b'), [...vips, ...owned])
  await lead(COPY_CLIENT, 'eth0', await macOf(COPY_PLACE), vips)
  await lab.sh(
    COPY_PLACE,
    [
      'ip addr add 10.2.0.10/32 dev eth0',
      'ip addr add fd02::10/128 dev eth0 nodad',
      // Tunnels are believed by the director's own address.
      'ip route replace default via 10.2.0.1 src 10.2.0.10',
    ].join(' && '),
  )
}

tellStory('a serverless fleet with real kernels', { open: openLab, patienceMs: 60_000 })
