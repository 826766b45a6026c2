import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { checkStateSchema, describeCheck, diffChecks, type HostState } from '@lvs-fleet/contract'
import { parse } from 'yaml'
import { fleetFromDocument, fleetSchema } from '../intent/fleet.ts'
import { validateFleet } from '../intent/validate.ts'
import { compileFleet } from './compile.ts'

const EXAMPLE = new URL('../../../../examples/health.yaml', import.meta.url)

type Document = {
  readonly pools: Record<string, { check?: object }>
  readonly directors: Record<string, object>
  readonly realServers: Record<string, object>
}

function compiled(
  change: (pools: Document['pools'], document: Document) => void = () => {},
  director: object = {},
) {
  const document: Document = parse(readFileSync(EXAMPLE, 'utf8'))
  change(document.pools, document)
  Object.assign(document.directors['dir-a'] ?? {}, director)
  const fleet = fleetFromDocument(fleetSchema.parse(document))
  assert.deepEqual(validateFleet(fleet), [])
  const { problems, hosts } = compileFleet(fleet)
  const state = hosts.get('director/dir-a')?.state
  assert.ok(state !== undefined)
  return { problems, state }
}

function withCheck(pools: Document['pools'], name: string, check: object): void {
  pools[name] = { ...pools[name], check }
}

function keysOf(state: HostState, name: string): string[] {
  return state.services
    .filter((service) => service.name === name)
    .flatMap(({ destinations }) => destinations.flatMap(({ checks }) => checks ?? []))
}

describe('checks of a director', () => {
  it('come out of the example, each once, as the agent can read them', () => {
    const { problems, state } = compiled()
    assert.deepEqual(problems, [])
    assert.deepEqual(state.checks.map(describeCheck).toSorted(), [
      'dns 10.1.0.13:53 through 10.1.0.100',
      'grpc 10.1.0.11:50051 through 10.1.0.100',
      'grpc 10.1.0.12:50051 through 10.1.0.100',
      'http://10.1.0.11:80/health through 10.1.0.100',
      'http://10.1.0.12:80/health through 10.1.0.100',
      'https://10.1.0.11:443/health through 10.1.0.100',
      'https://10.1.0.12:443/health through 10.1.0.100',
      'icmp 10.1.0.11',
      'icmp 10.1.0.12',
      'script 10.1.0.11:9000',
      'script 10.1.0.12:9000',
      'tcp 10.1.0.11:25 through 10.1.0.100',
      'tcp 10.1.0.12:25 through 10.1.0.100',
      'tls 10.1.0.11:8443 through 10.1.0.100',
      'tls 10.1.0.12:8443 through 10.1.0.100',
      'udp 10.1.0.11:514 through 10.1.0.100',
      'udp 10.1.0.12:514 through 10.1.0.100',
    ])
    assert.deepEqual(checkStateSchema.array().parse(state.checks), state.checks)
    assert.deepEqual(
      state.checks.map(({ key }) => key),
      state.checks.map(({ key }) => key).toSorted(),
    )
  })

  it('are shared by virtual services, and by pools that ask for the same', () => {
    const { state } = compiled()
    const keys = keysOf(state, 'web')
    assert.equal(keys.length, 2)
    assert.deepEqual(keysOf(state, 'web-2'), keys)
    assert.deepEqual(keysOf(state, 'web-3'), keys)
    const known = new Set(state.checks.map(({ key }) => key))
    assert.ok(keys.every((key) => known.has(key)))
  })

  it('are other ones when a setting changes, which a dry run shows', () => {
    const before = compiled().state
    const after = compiled((pools) => {
      Object.assign(pools['web-again']?.check ?? {}, { fall: 5 })
    }).state
    assert.notDeepEqual(keysOf(after, 'web-3'), keysOf(after, 'web'))
    assert.deepEqual(diffChecks(after.checks, before.checks), [
      '+ check http://10.1.0.11:80/health through 10.1.0.102',
      '+ check http://10.1.0.12:80/health through 10.1.0.102',
    ])
    assert.deepEqual(diffChecks(before.checks, before.checks), [])
  })

  it('go to the real server itself where the pool wants that, or the director has no marks', () => {
    const { state } = compiled((pools) => {
      for (const [name, { check }] of Object.entries(pools)) {
        withCheck(pools, name, { ...check, through: 'direct' })
      }
    })
    assert.ok(state.checks.every(({ way }) => way.is === 'direct'))
    const unmarked = compiled(undefined, { probes: false }).state
    assert.ok(unmarked.checks.every(({ way }) => way.is === 'direct'))
  })

  it('take the mark of the path of clients, and the director as their source', () => {
    const { state } = compiled()
    const path = state.paths.find(({ address }) => address === '10.1.0.11')
    assert.ok(path !== undefined)
    const { mark } = path
    const vip = '10.1.0.100'
    const check = state.checks.find(
      ({ probe, address }) => probe.kind === 'grpc' && address === '10.1.0.11',
    )
    assert.deepEqual(check?.way, { is: 'path', mark, vip, port: 50_051, source: '10.1.0.10' })
  })

  it('ask a port that NAT changes at the port of the VIP, and another one directly', () => {
    const nat = (port: number | null) =>
      compiled((pools, { realServers }) => {
        Object.assign(realServers['rs-1'] ?? {}, { gateway: 'dir-a' })
        const members = [{ realServer: 'rs-1', forwarding: 'nat', port: 8_080 }]
        pools['web'] = { members, check: { kind: 'tcp', port } } as object
      }, {}).state.checks.find(({ probe, port: asked }) => probe.kind === 'tcp' && asked > 8_000)
    assert.deepEqual([nat(null)?.port, nat(null)?.way.is], [8_080, 'path'])
    const { way } = nat(null) ?? {}
    assert.equal(way?.is === 'path' && way.port, 80)
    assert.deepEqual([nat(9_000)?.port, nat(9_000)?.way.is], [9_000, 'direct'])
  })

  it('are none where no pool asks, and destinations then say nothing of them', () => {
    const { state } = compiled((pools) => {
      for (const pool of Object.values(pools)) delete pool.check
    })
    assert.deepEqual(state.checks, [])
    assert.ok(state.services.every((one) => one.destinations.every((d) => !('checks' in d))))
  })

  it('take the port of the check before any other', () => {
    const { state } = compiled((pools) => {
      withCheck(pools, 'scripted', { kind: 'tcp', port: 9_999 })
    })
    assert.ok(state.checks.map(describeCheck).includes('tcp 10.1.0.11:9999 through 10.1.0.100'))
  })

  it('need a port where only a firewall mark is known', () => {
    const { problems } = compiled((pools) => {
      withCheck(pools, 'marked', { kind: 'tcp' })
    })
    assert.deepEqual(
      problems.map(({ code, pointer }) => [code, pointer]),
      [['check-port', '/pools/marked/check/port']],
    )
  })

  it('carry bytes of text and of hexadecimal digits alike', () => {
    const probes = [{ text: 'ab' }, { hex: '6162' }].map((send) => {
      const { state } = compiled((pools) => {
        withCheck(pools, 'syslog', { kind: 'udp', send })
      })
      return state.checks.find(({ probe }) => probe.kind === 'udp')?.probe
    })
    assert.deepEqual(probes[0], probes[1])
    assert.equal(probes[0]?.kind === 'udp' && probes[0].send, 'YWI=')
  })
})
