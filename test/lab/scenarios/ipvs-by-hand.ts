// A balanced service over two sites, set up with ip and ipvsadm alone: direct routing inside the site,
// IPIP tunnels to the other one. What the fleet does for you, by hand.
import { DIRECTOR, REAL_SERVERS, setUpByHand, VIP_URLS } from '../by-hand.ts'
import { formatHistogram, type Scenario } from './scenario.ts'

const REQUESTS = 20
const CLIENTS = ['cl-a', 'cl-b'] as const

export const ipvsByHand: Scenario = {
  name: 'ipvs-by-hand',
  summary: 'DR to local and IPIP to remote real servers, programmed with ipvsadm',
  async run(lab, print) {
    print(`setting up ${DIRECTOR} and ${REAL_SERVERS.join(', ')} by hand`)
    await setUpByHand(lab)
    print(`\n${DIRECTOR}$ ipvsadm -Ln\n${await lab.sh(DIRECTOR, ['ipvsadm', '-Ln'])}`)
    for (const client of CLIENTS) {
      for (const url of Object.values(VIP_URLS)) {
        print(`${client}: ${REQUESTS} × GET ${url}`)
        const answers = await lab.get(client, { url, n: REQUESTS })
        print(`${formatHistogram(answers)}\n`)
        expectEvenShares(answers)
      }
    }
    const capture = await lab.capture('rs-b1', { filter: 'ip proto 4' })
    await lab.get('cl-a', { url: VIP_URLS.v4, n: REAL_SERVERS.length })
    const [packet = 'nothing'] = await capture.stop()
    print(`seen on rs-b1, the client's packet inside the director's:\n  ${packet}`)
  },
}

function expectEvenShares(answers: Readonly<Record<string, number>>): void {
  const shares = Object.values(answers)
  const even = shares.every((share) => share === REQUESTS / REAL_SERVERS.length)
  if (!even || shares.length !== REAL_SERVERS.length) {
    throw new Error(`expected each real server to answer ${REQUESTS / REAL_SERVERS.length} times`)
  }
}
