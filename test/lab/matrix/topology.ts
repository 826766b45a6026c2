/**
 * The lab of the traffic matrix: the routers and segments of the two sites, one director, and more real servers,
 * each with one address family in use, so that a row can say which family is outside.
 */
import { type Host, type Topology, twoSites } from '../topology.ts'

export const CLIENT = 'cl-a'
export const DIRECTOR = 'dir-a'

const SERVERS_A = ['rs-a1', 'rs-a2', 'rs-a3', 'rs-a4']
const SERVERS_B = ['rs-b1', 'rs-b2', 'rs-b3', 'rs-b4', 'rs-b5', 'rs-b6']

export const matrixTopology: Topology = {
  ...twoSites,
  name: 'matrix',
  hosts: [
    ...twoSites.hosts.filter(({ name }) => name === CLIENT || name === DIRECTOR),
    ...SERVERS_A.map((name, i) => server(name, 'a', i)),
    ...SERVERS_B.map((name, i) => server(name, 'b', i)),
  ],
}

function server(name: string, site: 'a' | 'b', index: number): Host {
  const network = site === 'a' ? 1 : 2
  const id = 11 + index
  return {
    name,
    segment: `servers-${site}`,
    v4: `10.${network}.0.${id}`,
    v6: `fd0${network}::${id}`,
  }
}
