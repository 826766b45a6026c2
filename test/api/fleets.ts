/** Fleet documents for API tests: two sites, three directors, a web service served across sites. */
import type { JsonBody } from './harness.ts'

export function twoSites(): JsonBody {
  return {
    sites: {
      'site-a': { networks: [{ name: 'lan', cidrs: ['10.1.0.0/24'] }], paths: [{ to: 'site-b' }] },
      'site-b': { networks: [{ name: 'lan', cidrs: ['10.2.0.0/24'] }] },
    },
    directors: {
      'dir-a': { site: 'site-a', addresses: ['10.1.0.10'] },
      'dir-b': { site: 'site-b', addresses: ['10.2.0.10'] },
    },
    realServers: {
      'rs-a1': { site: 'site-a', addresses: ['10.1.0.21'] },
      'rs-a2': { site: 'site-a', addresses: ['10.1.0.22'] },
      'rs-b1': { site: 'site-b', addresses: ['10.2.0.21'] },
    },
    pools: {
      web: { members: [{ realServer: 'rs-a1' }, { realServer: 'rs-a2' }, { realServer: 'rs-b1' }] },
      db: { members: [{ realServer: 'rs-b1' }] },
    },
    virtualServices: {
      web: { vips: ['10.1.0.100'], ports: [80], pool: 'web', carriedBy: { sites: ['site-a'] } },
      db: { vips: ['10.2.0.100'], ports: [5432], pool: 'db', carriedBy: { sites: ['site-b'] } },
    },
  }
}
