import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeForwarding } from '@lvs-fleet/contract'
import {
  NETLINK_GENERIC,
  NETLINK_ROUTE,
} from '../../services/agent/src/kernel/netlink/constants.ts'
import { NetlinkSocket } from '../../services/agent/src/kernel/netlink/socket.ts'
import { converse } from './conversation.ts'
import { replay } from './replay.ts'

const generic = replay(new URL('generic.hex', import.meta.url))
const route = replay(new URL('route.hex', import.meta.url))
const said = await converse({
  generic: new NetlinkSocket({ protocol: NETLINK_GENERIC, open: generic.open }),
  route: new NetlinkSocket({ protocol: NETLINK_ROUTE, open: route.open }),
})

test('sends byte for byte what a real kernel took', () => {
  assert.deepEqual(generic.left(), [])
  assert.deepEqual(route.left(), [])
})

test('reads the services of a real kernel', () => {
  assert.equal(said.services.unnamedCount, 0)
  assert.deepEqual(
    // In the order of the kernel's hash table, which differs from boot to boot.
    said.services.services
      .map((service) => JSON.stringify({ ...service, stats: undefined }))
      .sort(),
    [
      '{"protocol":"fwmark","firewallMark":7,"family":"ipv4","scheduler":"rr","flags":[],"persistence":null,"exact":true}',
      '{"protocol":"sctp","address":"10.9.0.100","port":9,"scheduler":"rr","flags":[],"persistence":null,"exact":true}',
      '{"protocol":"tcp","address":"10.9.0.100","port":80,"scheduler":"sh","flags":["fallback","port"],"persistence":{"timeoutSeconds":600,"prefixLength":16,"engine":null},"exact":true}',
      '{"protocol":"tcp","address":"10.9.0.101","port":5060,"scheduler":"rr","flags":[],"persistence":{"timeoutSeconds":60,"prefixLength":32,"engine":null},"exact":false}',
      '{"protocol":"udp","address":"fd09::100","port":53,"scheduler":"wrr","flags":["one-packet"],"persistence":null,"exact":true}',
    ],
  )
})

test('reads the destinations of a real kernel, and tells missing from empty', () => {
  const [web, dns, missing] = said.destinations
  assert.deepEqual(
    web?.map((found) => [
      `${found.address} ${found.port} ${describeForwarding(found.forwarding)} weight ${found.weight}`,
      `${found.lowerThreshold}..${found.upperThreshold}`,
      found.exact,
    ]),
    [
      ['fd09::11 80 tun ipip weight 1', '0..0', true],
      ['10.9.1.3 80 tun gue 6080 weight 1', '0..0', true],
      ['10.9.1.2 80 tun ipip weight 0', '0..0', true],
      ['10.9.1.1 80 nat weight 3', '10..100', true],
    ],
  )
  assert.deepEqual(dns, [])
  assert.equal(missing, undefined)
})

test('finds each refusal at its place in the batch', () => {
  const codes = (failures: readonly ({ code: string } | undefined)[]) =>
    failures.map((failure) => failure?.code ?? 'ok')
  assert.deepEqual(codes(said.ipvsFailures), ['ok', 'EEXIST', 'ok', 'ERANGE', 'ENOENT', 'ok'])
  assert.deepEqual(codes(said.tunnelFailures), ['ok', 'ok'])
  assert.deepEqual(codes(said.networkFailures), ['ok', 'ok', 'EEXIST'])
})

test('reads links and addresses of a real kernel', () => {
  const { links, addresses } = said.network
  assert.deepEqual(
    links.map((l) => `${l.index} ${l.name} ${l.kind} ${l.up} ${l.mtu} ${l.local} ${l.remote}`),
    [
      '1 lo  true 65536 null null',
      '2 tunl0 ipip false 1480 null null',
      '3 ip6tnl0 ip6tnl false 1452 null null',
      '4 wire0 dummy true 1500 null null',
      '5 wire1 ip6tnl true 1460 fd09::1 fd09::2',
      '6 wire2 ipip true 1480 10.9.0.1 10.9.0.2',
    ],
  )
  assert.deepEqual(
    addresses
      .filter(({ linkIndex, address }) => linkIndex === 4 && !address.startsWith('fe80'))
      .map((held) => `${held.address}/${held.prefixLength} ${held.deprecated}`),
    ['10.9.0.1/24 false', '10.9.0.100/32 false', 'fd09::100/128 true', 'fd09::1/64 false'],
  )
})
