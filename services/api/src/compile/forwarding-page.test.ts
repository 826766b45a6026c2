/** docs/forwarding.md quotes the reasons of refused methods: each quote is one that compile gives, and the table leaves none untested. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { edit, twoSites, type FleetText } from '../../../../test/fixtures/two-sites.ts'
import { compileFleet } from './compile.ts'

const page = readFileSync(new URL('../../../../docs/forwarding.md', import.meta.url), 'utf8')
const quotes = [...(page.split('| it says | do |')[1]?.matchAll(/^\| `([^`]+)` \|/gm) ?? [])].map(
  ([, quote]) => quote ?? '',
)

/** web-a alone, on its IPv4 VIP, with one member. */
const only = (
  member: Record<string, unknown>,
  server: Record<string, unknown>,
  vip = '10.1.0.100',
) =>
  twoSites((fleet: FleetText) => {
    edit(fleet, 'pools', 'web', { members: [member] })
    edit(fleet, 'virtualServices', 'web-a', { vips: [vip] })
    edit(fleet, 'realServers', 'rs-b1', server)
    edit(fleet, 'sites', 'a', {
      networks: [{ name: 'servers', cidrs: ['10.1.0.0/24', 'fd01::/64'] }],
      paths: [{ to: 'b', mtu: 1300 }],
    })
    delete fleet['virtualServices']?.['web-b']
  })
const RS_B1 = { realServer: 'rs-b1' }
const NO_TUNNEL = { decapsulates: [] }
const ROWS = [
  only({ ...RS_B1, port: 8080 }, {}),
  only(RS_B1, NO_TUNNEL),
  only({ ...RS_B1, tunnel: 'gue' }, {}),
  only(RS_B1, { addresses: ['fd02::11'] }),
  only({ ...RS_B1, forwarding: 'nat' }, {}),
  only({ ...RS_B1, forwarding: 'nat' }, { addresses: ['10.2.0.11'] }, 'fd01::100'),
]

describe('the page about forwarding quotes what compile says', () => {
  it('has a table of reasons', () => assert.equal(quotes.length, ROWS.length))
  for (const [i, fleet] of ROWS.entries()) {
    it(quotes[i] ?? `row ${i}`, () => {
      const said = compileFleet(fleet)
        .problems.map(({ message }) => message)
        .join('\n')
      assert.ok(said.includes(quotes[i] ?? '?'), said)
    })
  }
})
